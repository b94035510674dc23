"""Payloads in shared memory reach another process whole, outlive their sender, and are never mistaken."""

import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.wal.shared_memory import SharedPayloads, map_shared, share

CALL = bytes(range(16))
OTHER_CALL = bytes(16)
SENDER = """
import sys
from storage.wal.shared_memory import share
with share(bytes(range(16)), [b"one", b"two" * 100_000]) as shared:
    print(shared.pid, shared.fd, *shared.lengths, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def sender() -> Iterator[tuple["subprocess.Popen[str]", SharedPayloads]]:
    """Another process that shares two payloads, and where they are."""
    command = [sys.executable, "-c", SENDER]
    with subprocess.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    ) as process:
        assert process.stdout is not None
        pid, fd, *lengths = map(int, process.stdout.readline().split())
        yield process, SharedPayloads(pid, fd, tuple(lengths))
        process.kill()


@given(st.lists(st.binary(max_size=10_000), min_size=1, max_size=20).filter(any))
def test_payloads_come_back_as_they_were(payloads: list[bytes]) -> None:
    with share(CALL, payloads) as shared:
        found = map_shared(CALL, shared)
    assert found is not None
    assert [bytes(payload) for payload in found] == payloads


def test_another_process_reads_them_also_after_the_sender_was_killed(
    sender: tuple["subprocess.Popen[str]", SharedPayloads],
) -> None:
    process, shared = sender
    found = map_shared(CALL, shared)
    process.kill()
    process.wait()
    assert found is not None
    assert [bytes(payload) for payload in found] == [b"one", b"two" * 100_000]
    assert map_shared(CALL, shared) is None


def test_what_lies_at_the_same_place_but_is_of_another_call_is_not_taken(tmp_path: Path) -> None:
    with share(CALL, [b"x"]) as shared:
        assert map_shared(OTHER_CALL, shared) is None
        with (tmp_path / "file").open("w+b") as file:
            file.write(b"x")
            file.flush()
            assert map_shared(CALL, replace(shared, fd=file.fileno())) is None


def test_less_than_was_announced_is_not_taken() -> None:
    with share(CALL, [b"x"]) as shared:
        assert map_shared(CALL, replace(shared, lengths=(5000,))) is None


def test_nothing_stays_open() -> None:
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with share(CALL, [b"x" * 10_000]) as shared:
            assert map_shared(CALL, shared)
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) == before
    mapped = Path("/proc/self/maps").read_text()
    assert CALL.hex() not in mapped

"""The processes of an instance are found by their environment and ended, whatever they do about signals."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from cli.processes import MARKER, processes_of, stop_all

STUBBORN = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); signal.pause()"
)
OBEDIENT = "import signal; print('on', flush=True); signal.pause()"


@pytest.fixture
def instance_id() -> Iterator[str]:
    name = uuid.uuid4().hex[:10]
    yield name
    stop_all(name, 0.0)


def start(instance_id: str, program: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, MARKER: instance_id}, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"on\n"
    process.stdout.close()
    return process


def test_only_processes_of_the_instance_are_found(instance_id: str) -> None:
    mine, other = start(instance_id, OBEDIENT), start(uuid.uuid4().hex, OBEDIENT)
    assert [process.pid for process in processes_of(instance_id)] == [mine.pid]
    assert processes_of(instance_id)[0].rss_bytes > 0
    for process in (mine, other):
        process.kill()
        process.wait()


def test_one_that_obeys_is_not_killed(instance_id: str) -> None:
    process = start(instance_id, OBEDIENT)
    # A zombie has no environment any more: it counts as ended although nobody has waited for it yet.
    assert stop_all(instance_id, 10.0) == 0
    assert process.wait() == -15


def test_one_that_does_not_is_killed(instance_id: str) -> None:
    process = start(instance_id, STUBBORN)
    assert stop_all(instance_id, 0.2) == 1
    assert process.wait() == -9

"""Lines that become large once flattened are read in small batches: none is lost, and memory is bounded."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from core.log_batch import LogBatch
from formats.flattened_size import flattened_bytes_max
from listeners import intake as intake_module
from listeners.messages import Lines, MessageReader
from tests.listeners.conftest import StartService
from tests.listeners.nested_lines import Writers, json_line, read_all, syslog_line
from tests.listeners.service import SYSLOG

ROOT = Path(__file__).parent.parent.parent
GROWTH_MIB_MAX = 350  # of 500 MiB of names: two batches, and what it takes to make one


def mixed(count: int) -> list[bytes]:
    """Large, small, unreadable and other lines."""
    kinds = [json_line, syslog_line, lambda n: b"<14>m%d" % n, lambda n: b"rubbish %d" % n]
    return [kinds[number % 4](number) for number in range(count)]


def test_every_line_of_a_batch_that_is_cut_is_kept_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    lines, batches = mixed(200), []
    bytes_max = 5 * flattened_bytes_max(lines[0])
    monkeypatch.setattr(intake_module, "BATCH_FLATTENED_BYTES_MAX", bytes_max)
    read = MessageReader.read

    def noted(reader: MessageReader, lines: Lines, at_ns: int) -> LogBatch:
        batches.append(read(reader, lines, at_ns))
        return batches[-1]

    monkeypatch.setattr(MessageReader, "read", noted)
    writers = Writers()
    asyncio.run(read_all(lines, writers))
    assert writers.messages == [f"m{number}" for number in range(200) if number % 4 != 3]
    letters = [raw for batch in batches for raw in batch.dead_letters.column("raw").to_pylist()]
    assert letters == [line for line in lines if line.startswith(b"rubbish")]
    # Each sender's lines stay its own.
    sources = [ip for batch in batches for ip in batch.logs.column("source_ip").to_pylist()]
    assert sources == [f"10.0.0.{number // 32 * 32 % 3}" for number in range(200) if number % 4 != 3]
    assert max(batch.logs.nbytes for batch in batches) <= 1.05 * bytes_max  # with its offsets
    assert len(batches) < 200 // 5


def test_nested_lines_on_a_connection_become_logs_among_others(
    start_service: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "BATCH_FLATTENED_BYTES_MAX", 1 << 20)
    service = start_service()
    lines = [json_line(number) if number % 3 else SYSLOG for number in range(30)]
    service.send(b"\n".join(lines) + b"\n")
    service.wait_kept(30)
    logs = service.logs(30)
    nested = [log for log in logs if log["message"].startswith("m")]
    assert {log["message"] for log in nested} == {f"m{number}" for number in range(30) if number % 3}
    assert {len(log["attributes"]) for log in nested} == {990}
    assert service.listener.observe().unsent_bytes == 0


def test_half_a_gigabyte_of_names_is_never_in_memory_at_once() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tests.listeners.nested_lines"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(answer.stdout) < GROWTH_MIB_MAX

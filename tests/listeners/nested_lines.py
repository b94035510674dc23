"""Lines that become seventy times larger once flattened; as a program, how much memory it takes to read them.

python -m tests.listeners.nested_lines: MiB by which the process grew.
"""

import asyncio
import json
import resource

from core.clock import SystemClock
from core.limits import MIB
from core.log_batch import LogBatch
from core.metrics import Metrics
from listeners.intake import Intake
from listeners.messages import MessageReader

LINES = 1000
LEAVES = 990
READ_LINES = 32  # of a socket at once: 256 KiB


def json_line(number: int, path: int = 500, leaves: int = LEAVES) -> bytes:
    fields = {f"{leaf:x}": 1 for leaf in range(leaves)}
    log = {"timestamp": "2024-01-15T10:00:00Z", "message": f"m{number}", f"{number:0{path}d}": fields}
    return json.dumps(log, separators=(",", ":")).encode()


def syslog_line(number: int, path: int = 500, leaves: int = LEAVES) -> bytes:
    parameters = "".join(f' {leaf:x}=""' for leaf in range(leaves))
    return f"<14>1 2024-01-15T10:00:00Z h a - - [{number:0{path}d}{parameters}] m{number}".encode()


class Writers:
    """Take everything, and keep count."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    async def send(self, batch: LogBatch) -> None:
        self.messages += batch.logs.column("message").to_pylist()
        await asyncio.sleep(0)


def started_intake(writers: Writers, unsent_bytes_max: int = 32 * MIB) -> Intake:
    clock = SystemClock()
    reader = MessageReader("tcp")
    return Intake("tcp", reader, writers, unsent_bytes_max, Metrics(clock), clock, lambda _: None)


async def read_all(lines: list[bytes], writers: Writers) -> None:
    intake = started_intake(writers)
    running = asyncio.create_task(intake.run())
    for first in range(0, len(lines), READ_LINES):
        intake.add(lines[first : first + READ_LINES], f"10.0.0.{first % 3}")
    await intake.flush()
    running.cancel()


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    nested = [json_line(number) for number in range(LINES // 2)]
    nested += [syslog_line(number) for number in range(LINES // 2, LINES)]
    # What the first lines of all load and set up is not counted.
    asyncio.run(read_all([json_line(number, 5, 2) for number in range(100)], Writers()))
    before = peak_mib()
    writers = Writers()
    asyncio.run(read_all(nested, writers))
    assert sorted(writers.messages) == sorted(f"m{number}" for number in range(LINES))
    print(peak_mib() - before)

"""What an insert costs, stage by stage: `python -m benchmarks.insert --rows 1000000`.

Realistic logs go through a partition's WAL and its read-back into a fresh embedded ClickHouse, as a writer
does it. Prints µs of CPU a log by stage and process, and bytes a log on disk, before and after all merges.
`--alter` changes the tables before, `--setting` an insert: to compare variants.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa

from benchmarks.corpus import LOGS_PER_REQUEST, build_requests, calibrate
from benchmarks.processes import TICKS
from core.clock import SystemClock
from core.log_batch import LogBatch, Received
from formats.json_logs import parse_logs
from storage.clickhouse import ClickHouse
from storage.embedded.endpoint import embedded_url
from storage.log_table import INSERT_SETTINGS
from storage.migrations import migrate
from storage.wal.partition_wal import PartitionWal
from storage.wal.payload import encode, read_head
from storage.wal.read_back import build_tables
from storage.wal.segment import NewRecord, SealedSegment

COMMIT_BATCHES: Final = 10  # payloads in one group commit
QUIET_S: Final = 5.0
SETTLED_WITHIN_S: Final = 1800.0
LOOK_AGAIN_S: Final = 0.2
LOGS_PER_SECOND: Final = 100_000  # of the logs' own time
SIZES: Final = """
SELECT
    sum(bytes_on_disk) / {rows:UInt64} AS bytes,
    sum(secondary_indices_compressed_bytes) / {rows:UInt64} AS of_index,
    count() AS parts
FROM system.parts WHERE active AND database = currentDatabase() AND table = 'logs'
"""


class Costs:
    """CPU seconds of this process and of ClickHouse, by stage."""

    def __init__(self, server_pid: int) -> None:
        self._server_pid = server_pid
        self.own_s: dict[str, float] = defaultdict(float)
        self.server_s: dict[str, float] = defaultdict(float)
        self.wall_s: dict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is spent inside."""
        own_s, server_s, wall_s = time.process_time(), self._server_cpu_s(), time.perf_counter()
        yield
        self.own_s[name] += time.process_time() - own_s
        self.server_s[name] += self._server_cpu_s() - server_s
        self.wall_s[name] += time.perf_counter() - wall_s

    def _server_cpu_s(self) -> float:
        fields = Path(f"/proc/{self._server_pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def batches(rows: int) -> list[LogBatch]:
    """Parsed requests of 1000 logs whose ids and times go on from one to the next."""
    requests = build_requests(20)
    parsed = []
    began_s = time.time()
    for number in range(rows // LOGS_PER_REQUEST):
        at_s = began_s + number * LOGS_PER_REQUEST / LOGS_PER_SECOND
        body = requests[number % len(requests)].fill(1, number * LOGS_PER_REQUEST, at_s)
        received = Received(int(at_s * 1e9), "127.0.0.1", "http")
        parsed.append(parse_logs(body, "application/json", received).batch)
    return parsed


def write(wal: PartitionWal, some: list[LogBatch], costs: Costs) -> SealedSegment:
    """Some batches into a segment of their own."""
    for start in range(0, len(some), COMMIT_BATCHES):
        with costs.stage("encode (client)"):
            payloads = [encode(batch) for batch in some[start : start + COMMIT_BATCHES]]
        with costs.stage("WAL: CRC, write, fsync"):
            heads = [read_head(payload) for payload in payloads]
            call_id = wal.size.to_bytes(16, "big")
            wal.commit(
                [
                    NewRecord(call_id, part, len(payloads), head.logs, head.dead_letters, payload)
                    for part, (head, payload) in enumerate(zip(heads, payloads, strict=True))
                ]
            )
    (segment,) = wal.seal()
    return segment


def insert(clickhouse: ClickHouse, logs: pa.Table, token: str, settings: dict[str, str]) -> None:
    """As storage.log_table.insert_logs, with settings to try."""
    clickhouse.insert_arrow(
        "logs", logs.combine_chunks(), {**INSERT_SETTINGS, **settings, "insert_deduplication_token": token}
    )


def settle(clickhouse: ClickHouse, *, everything: bool) -> None:
    """Merge everything, or wait until ClickHouse begins no merge for a while. Raises TimeoutError."""
    if everything:
        clickhouse.command("OPTIMIZE TABLE logs FINAL")
        return
    quiet_since_s = time.monotonic()
    deadline_s = quiet_since_s + SETTLED_WITHIN_S
    while time.monotonic() - quiet_since_s < QUIET_S:
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"ClickHouse still merges after {SETTLED_WITHIN_S:.0f} s")
        if clickhouse.query("SELECT count() FROM system.merges").rows[0][0]:
            quiet_since_s = time.monotonic()
        time.sleep(LOOK_AGAIN_S)


def run(options: argparse.Namespace, data_dir: Path, server_pid: int) -> None:
    """Insert all rows, and say what it cost."""
    url = embedded_url(data_dir)
    assert url is not None
    clickhouse = ClickHouse(url, read_timeout_s=600)
    migrate(clickhouse)
    for statement in options.alter:
        clickhouse.command(statement)
    wal = PartitionWal(data_dir, 0, SystemClock())
    costs = Costs(server_pid)
    insert_batches = options.insert_rows // LOGS_PER_REQUEST
    parsed = batches(options.rows)
    settings = dict(each.split("=", 1) for each in options.setting)
    for start in range(0, len(parsed), insert_batches):
        segment = write(wal, parsed[start : start + insert_batches], costs)
        with costs.stage("read back"):
            logs = build_tables(wal.read(segment), lambda *_: None).logs
        with costs.stage("insert"):
            insert(clickhouse, logs, wal.token(segment), settings)
        wal.remove(segment)
    stored = clickhouse.rows(SIZES, {"rows": options.rows})[0]
    if options.merges != "none":
        with costs.stage("merges after that"):
            settle(clickhouse, everything=options.merges == "all")
    merged = clickhouse.rows(SIZES, {"rows": options.rows})[0]
    for name in costs.wall_s:
        own, server = (each[name] * 1e6 / options.rows for each in (costs.own_s, costs.server_s))
        print(f"{name:32} {own:6.2f} writer {server:6.2f} clickhouse {costs.wall_s[name]:7.1f} s")
    total = (sum(costs.own_s.values()) + sum(costs.server_s.values())) * 1e6 / options.rows
    print(f"{'all':32} {total:6.2f} µs of CPU a log")
    for when, sizes in (("inserted", stored), ("merged", merged)):
        index = f"{sizes['of_index']:.1f} of them index"
        print(f"{when:32} {sizes['bytes']:6.1f} bytes a log, {index}, {sizes['parts']} parts")
    found = clickhouse.rows(
        "SELECT count() AS n, (SELECT sum(rows) FROM logs_per_minute) AS counted FROM logs"
    )
    print("verdict:", "ok" if set(found[0].values()) == {options.rows} else f"failed: {found}")


def main() -> None:
    """Run with an embedded ClickHouse in a process of its own, in a temporary directory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--insert-rows", type=int, default=100_000, help="rows of one insert")
    parser.add_argument("--alter", action="append", default=[], metavar="SQL", help="run before the inserts")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="of each insert")
    parser.add_argument(
        "--merges",
        choices=("all", "own", "none"),
        default="all",
        help="into one part, as ClickHouse likes, none",
    )
    options = parser.parse_args()
    print(f"orjson.loads of the corpus: {calibrate(build_requests(4)):.2f} µs a log")
    with tempfile.TemporaryDirectory(prefix="logray-insert-") as directory:
        command = [sys.executable, "-m", "storage.embedded", directory]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe) as server:
            assert server.stdout is not None
            server.stdout.readline()
            run(options, Path(directory), server.pid)
            assert server.stdin is not None
            server.stdin.close()


if __name__ == "__main__":
    main()

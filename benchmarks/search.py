"""How fast searches are: `python -m benchmarks.search --rows 20000000`.

Fills an instance of its own on the server, runs the named searches over its HTTP API, cold (caches of the
store and of the kernel dropped before each) and warm, and ends with a line «verdict: …»: it fails when one
of them takes over 500 ms at the 95th percentile, warm.
"""

import argparse
import http.client
import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.corpus import build_requests, calibrate
from benchmarks.instance import Instance, temporary_instance
from benchmarks.named_searches import NamedSearch, named_searches
from benchmarks.stored_corpus import fill, wait_for_merges
from storage.clickhouse import ClickHouse

LIMIT_MS: Final = 500
COLD_RUNS: Final = 2
CALIBRATION_REQUESTS: Final = 32
BYTES_PER_ROW: Final = 110  # on disk while merges run
CACHES: Final = (
    "MARK CACHE",
    "UNCOMPRESSED CACHE",
    "INDEX MARK CACHE",
    "PRIMARY INDEX CACHE",
    "QUERY CONDITION CACHE",
)
CACHES_OF_THE_INDEX: Final = (
    "TEXT INDEX TOKENS CACHE",
    "TEXT INDEX HEADER CACHE",
    "TEXT INDEX POSTINGS CACHE",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One named search: milliseconds of each run, what was read, and where the answer came from."""

    search: NamedSearch
    cold_ms: list[float]
    warm_ms: list[float]
    rows_read: int
    bytes_read: int
    sources: str

    @property
    def p95_ms(self) -> float:
        """Of the warm runs."""
        return percentile(self.warm_ms, 95)


class Client:
    """One kept connection to the API."""

    def __init__(self, instance: Instance) -> None:
        self._connection = http.client.HTTPConnection(instance.host, instance.port, timeout=120)

    def ask(self, search: NamedSearch, path: str | None = None) -> tuple[float, Any]:
        """Milliseconds until the whole answer is here, and the answer."""
        body = None if search.body is None else json.dumps(search.body)
        began = time.perf_counter()
        self._connection.request("GET" if body is None else "POST", path or search.path, body)
        answer = self._connection.getresponse()
        text = answer.read()
        ms = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            sys.exit(f"{search.name}: {answer.status} {text.decode()}")
        return ms, json.loads(text)


def main() -> None:
    """Fill, measure, print the table and the verdict."""
    arguments = _arguments()
    with _data_directory(arguments.data) as data_dir:
        settings = {"LOGRAY_DATA_DIR": str(data_dir)}
        with temporary_instance(settings, keep=arguments.data is not None) as instance:
            rows = _rows_that_fit(arguments.rows, data_dir)
            fill(instance.store, rows)
            wait_for_merges(instance.store)
            print(
                f"{rows:,} logs, {instance.bytes_per_log()} bytes each, in {instance.parts()} parts\n",
                flush=True,
            )
            requests = build_requests(CALIBRATION_REQUESTS)
            before_us = calibrate(requests)
            client = Client(instance)
            measured = [
                measure(client, instance.store, search, arguments.runs)
                for search in named_searches(rows, _cursor(client, 50))
                if arguments.only in search.name
            ]
            after_us = calibrate(requests)
    # Quiet is 0.6: compare times of different hours by it.
    print(f"\ncalibration: {before_us:.2f} µs before, {after_us:.2f} after, to orjson.loads a log")
    sys.exit(verdict(measured))


def measure(client: Client, store: ClickHouse, search: NamedSearch, runs: int) -> Measured:
    """Run one search cold and warm, and print its line."""
    cold = []
    for _ in range(COLD_RUNS):
        drop_caches(store)
        cold.append(client.ask(search)[0])
    warm = [client.ask(search)[0] for _ in range(runs)]
    cost: dict[str, Any] = {"rows_read": 0, "bytes_read": 0, "statements": []}
    if search.body is not None:
        cost = client.ask(search, "/api/v1/search/explain")[1]
    sources = ", ".join(
        dict.fromkeys(f"{each['part'].partition('.')[0]}: {each['source']}" for each in cost["statements"])
    )
    found = Measured(search, cold, warm, cost["rows_read"], cost["bytes_read"], sources)
    print(line(found), flush=True)
    return found


def line(found: Measured) -> str:
    """One row of the table, in Markdown."""
    numbers = [percentile(found.warm_ms, 50), found.p95_ms, percentile(found.cold_ms, 50), max(found.cold_ms)]
    cells = [f"{found.search.name:34}", *(f"{each:7.0f}" for each in numbers), f"{found.rows_read:12,}"]
    return f"| {' | '.join([*cells, f'{found.bytes_read / 1e6:8.1f}', found.sources])} |"


def verdict(measured: Sequence[Measured]) -> int:
    """Print it; the exit code."""
    slow = [each.search.name for each in measured if each.p95_ms > LIMIT_MS]
    fast = sum(each.p95_ms <= 50 for each in measured)
    how = f"{len(measured)} searches, {fast} of them within 50 ms"
    if slow:
        print(f"\nverdict: {how}; over {LIMIT_MS} ms at p95: {', '.join(slow)}")
        return 1
    print(f"\nverdict: {how}, all within {LIMIT_MS} ms at p95")
    return 0


def percentile(values: Sequence[float], percent: int) -> float:
    """Of few values: the next larger one."""
    return sorted(values)[min(len(values) - 1, -(-len(values) * percent // 100) - 1)] if values else math.nan


def drop_caches(store: ClickHouse) -> None:
    """Those of the store, and the kernel's where this process may."""
    for cache in (*CACHES, *CACHES_OF_THE_INDEX):
        store.command(f"SYSTEM CLEAR {cache}")
    with suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("1")


def _cursor(client: Client, page: int) -> str:
    """The cursor of a page of `timeout`."""
    body = {"query": "timeout", "limit": 100, "offset": 100 * (page - 1) - 100, "count": "none"}
    return str(client.ask(NamedSearch("cursor", body))[1]["next_cursor"])


def _rows_that_fit(rows: int, data_dir: Path) -> int:
    free = shutil.disk_usage(data_dir).free + sum(
        file.stat().st_size for file in data_dir.rglob("*") if file.is_file()
    )
    fit = free * 8 // 10 // BYTES_PER_ROW
    if fit < rows:
        print(f"the disk has room for {fit:,} logs, not for {rows:,}")
    return min(rows, fit)


@contextmanager
def _data_directory(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="logray-bench-search-") as directory:
        yield Path(directory)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure searches on an instance of its own.")
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--runs", type=int, default=40, help="warm runs of each search")
    parser.add_argument("--data", type=Path, help="a data directory to fill, or to use as it is, and to keep")
    parser.add_argument("--only", default="", help="only searches whose name contains this")
    return parser.parse_args()


if __name__ == "__main__":
    main()

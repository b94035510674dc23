"""How fast searches are: `python -m benchmarks.search --rows 10000000 100000000 1000000000`.

Fills a store on the server's side to each of the sizes in turn, and at each of them runs the named searches
over the HTTP API, cold (caches of the store and of the kernel dropped before each) and warm. Prints a table
for each size, one of how p95 grew, and a line «verdict: …»: it fails when a typical search takes over 500 ms
at the 95th percentile, warm, or 2 s cold. With `--data` the store is kept: a broken fill goes on.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.corpus import build_requests, calibrate
from benchmarks.instance import ROOT, temporary_instance
from benchmarks.named_searches import NamedSearch, named_searches
from benchmarks.search_timing import HEADER, Client, Measured, measure
from benchmarks.stored_corpus import Round, fill, rounds, stored_rows
from storage.clickhouse import ClickHouse
from storage.embedded.endpoint import embedded_url
from storage.migrations import migrate
from storage.own_columns import add_own_columns

WARM_LIMIT_MS: Final = 500
COLD_LIMIT_MS: Final = 2000
FAST_MS: Final = 50
CALIBRATION_REQUESTS: Final = 32
BYTES_PER_ROW: Final = 65  # on disk, with the largest merge under way
MERGE_S_MAX: Final = 7200  # of a day of a hundred million logs: 350 s of a core of its own
FILL_MEMORY_BYTES: Final = 12 << 30  # two inserts of two million logs, and merges
OWN_COLUMNS: Final = ("duration_ms", "status_code")  # as an operator would choose them


def main() -> None:
    """Fill and measure size by size; print the tables and the verdict."""
    arguments = _arguments()
    measured: dict[int, list[Measured]] = {}
    requests = build_requests(CALIBRATION_REQUESTS)
    with _data_directory(arguments.data) as data_dir:
        sizes = _sizes_that_fit(sorted(arguments.rows), data_dir)
        for current in rounds(sizes):
            if not _filled(current, data_dir):
                continue
            # Quiet is 0.6: compare times of different hours by it.
            print(f"\ncalibration: {calibrate(requests):.2f} µs to orjson.loads a log", flush=True)
            measured[current.last] = _measure_all(current, data_dir, arguments)
            print(f"calibration: {calibrate(requests):.2f}", flush=True)
    if len(measured) > 1:
        print(growth(measured))
    if not measured:
        sys.exit(f"{arguments.data} has more logs than that")
    sys.exit(verdict(measured[max(measured)]))


def growth(measured: dict[int, list[Measured]]) -> str:
    """The 95th percentile of each search by size, in Markdown."""
    rows = [
        f"| {same[0].search.name} | {' | '.join(f'{each.p95_ms:.0f}' for each in same)} |"
        for same in zip(*measured.values(), strict=True)
    ]
    sizes = " | ".join(f"{size:,}" for size in measured)
    return "\n".join([f"\n| warm p95, ms | {sizes} |", f"| --- |{' --- |' * len(measured)}", *rows])


def verdict(measured: Sequence[Measured]) -> int:
    """Print it; the exit code."""
    typical = [each for each in measured if each.search.kind == "typical"]
    slow = [
        f"{each.search.name} ({each.p95_ms:.0f} warm, {each.coldest_ms:.0f} cold)"
        for each in typical
        if each.p95_ms > WARM_LIMIT_MS or each.coldest_ms > COLD_LIMIT_MS
    ]
    hard = [each.search.name for each in measured if each not in typical and each.p95_ms > WARM_LIMIT_MS]
    fast = sum(each.p95_ms <= FAST_MS for each in measured)
    print(
        f"\n{len(measured)} searches, {fast} of them within {FAST_MS} ms; "
        f"over {WARM_LIMIT_MS} ms, and not typical: {', '.join(hard) or 'none'}"
    )
    limits = f"{WARM_LIMIT_MS} ms at p95 warm and {COLD_LIMIT_MS} ms cold"
    print(f"verdict: {len(typical)} typical searches, over {limits}: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


def _measure_all(current: Round, data_dir: Path, arguments: argparse.Namespace) -> list[Measured]:
    settings = {"LOGRAY_DATA_DIR": str(data_dir), "LOGRAY_SEARCH_COLUMNS": ",".join(OWN_COLUMNS)}
    with temporary_instance(settings, keep=True) as instance:
        size = f"{current.last:,} logs, {instance.bytes_per_log()} bytes each, in {instance.parts()} parts"
        print(f"\n{size}\n\n{HEADER}", flush=True)
        client, found = Client(instance), []
        for search in named_searches(current, _cursor(client, 50)):
            if arguments.only in search.name:
                found.append(measure(client, instance.store, search, arguments.runs))
                print(found[-1].line(), flush=True)
    return found


def _filled(current: Round, data_dir: Path) -> bool:
    """Fill a round; whether the table has just that size now."""
    with _filling_store(data_dir) as store:
        fill(store, current)
        return stored_rows(store) == current.last


@contextmanager
def _filling_store(data_dir: Path) -> Iterator[ClickHouse]:
    """The embedded ClickHouse by itself, with more memory than it has beside a service."""
    command = [sys.executable, "-m", "storage.embedded", str(data_dir), str(FILL_MEMORY_BYTES)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.readline()
        url = embedded_url(data_dir)
        assert url is not None, "it answers"
        store = ClickHouse(url, read_timeout_s=MERGE_S_MAX)
        migrate(store)
        add_own_columns(store, OWN_COLUMNS)
        try:
            yield store
        finally:
            server.stdin.close()


def _cursor(client: Client, page: int) -> str:
    """The cursor of a page of `timeout`."""
    body = {"query": "timeout", "limit": 100, "offset": 100 * (page - 1) - 100, "count": "none"}
    return str(client.ask(NamedSearch("cursor", body))[1]["next_cursor"])


def _sizes_that_fit(sizes: Sequence[int], data_dir: Path) -> list[int]:
    stored = sum(file.stat().st_size for file in data_dir.rglob("*") if file.is_file())
    fit = (shutil.disk_usage(data_dir).free + stored) // BYTES_PER_ROW
    if fit < sizes[-1]:
        print(f"the disk has room for {fit:,} logs, not for {sizes[-1]:,}")
    return [*(size for size in sizes if size <= fit), *([fit] if fit < sizes[-1] else [])]


@contextmanager
def _data_directory(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="logray-bench-search-") as directory:
        yield Path(directory)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure searches on an instance of its own.")
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000_000], help="sizes to measure at")
    parser.add_argument("--runs", type=int, default=40, help="warm runs of each search")
    parser.add_argument("--data", type=Path, help="a data directory to fill, or to use as it is, and to keep")
    parser.add_argument("--only", default="", help="only searches whose name contains this")
    return parser.parse_args()


if __name__ == "__main__":
    main()

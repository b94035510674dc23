"""Times one named search over the HTTP API, cold and warm, and tells what it read."""

import http.client
import json
import math
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.instance import Instance
from benchmarks.named_searches import NamedSearch
from storage.clickhouse import ClickHouse

COLD_RUNS: Final = 2
SLOW_MS: Final = 2000  # such a search is run SLOW_RUNS times at most
SLOW_RUNS: Final = 3
TIMEOUT: Final = 504
CACHES: Final = (
    "MARK CACHE",
    "UNCOMPRESSED CACHE",
    "INDEX MARK CACHE",
    "PRIMARY INDEX CACHE",
    "QUERY CONDITION CACHE",
    "TEXT INDEX TOKENS CACHE",
    "TEXT INDEX HEADER CACHE",
    "TEXT INDEX POSTINGS CACHE",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One named search: milliseconds of each run, what was read, and where the answer came from.

    `total` is the total that was found, with ≥ before a lower bound.
    """

    search: NamedSearch
    cold_ms: list[float]
    warm_ms: list[float]
    rows_read: int
    bytes_read: int
    sources: str
    total: str

    @property
    def p50_ms(self) -> float:
        """Of the warm runs."""
        return percentile(self.warm_ms, 50)

    @property
    def p95_ms(self) -> float:
        """Of the warm runs."""
        return percentile(self.warm_ms, 95)

    @property
    def coldest_ms(self) -> float:
        """The slowest of the cold runs."""
        return max(self.cold_ms)

    def line(self) -> str:
        """One row of a table in Markdown."""
        numbers = " | ".join(f"{each:6.0f}" for each in (self.p50_ms, self.p95_ms, self.coldest_ms))
        read = f"{self.rows_read:12,} | {self.bytes_read / 1e6:8.1f}"
        return f"| {self.search.name:40} | {numbers} | {read} | {self.total:>14} | {self.sources} |"


HEADER: Final = """\
| search | warm p50, ms | warm p95 | cold, the slower | rows read | MB read | total | sources |
| --- | --- | --- | --- | --- | --- | --- | --- |"""


class Client:
    """One kept connection to the API."""

    def __init__(self, instance: Instance) -> None:
        self._connection = http.client.HTTPConnection(instance.host, instance.port, timeout=120)

    def ask(self, search: NamedSearch, path: str | None = None) -> tuple[float, Any]:
        """Milliseconds until the whole answer is here, and the answer; a search may run out of time."""
        body = None if search.body is None else json.dumps(search.body)
        began = time.perf_counter()
        self._connection.request("GET" if body is None else "POST", path or search.path, body)
        answer = self._connection.getresponse()
        text = answer.read()
        ms = (time.perf_counter() - began) * 1000
        if answer.status not in (200, TIMEOUT):
            sys.exit(f"{search.name}: {answer.status} {text.decode()}")
        return ms, json.loads(text)


def measure(client: Client, store: ClickHouse, search: NamedSearch, runs: int) -> Measured:
    """Run one search cold, each time with empty caches, then warm."""
    cold = []
    for _ in range(COLD_RUNS):
        drop_caches(store)
        cold.append(client.ask(search)[0])
    runs = runs if min(cold) < SLOW_MS else min(runs, SLOW_RUNS)
    answers = [client.ask(search) for _ in range(runs)]
    warm, (_, last) = [ms for ms, _ in answers], answers[-1]
    total = last.get("total")
    bound = "≥ " if last.get("total_relation") == "gte" else ""
    cost: dict[str, Any] = {"rows_read": 0, "bytes_read": 0, "statements": []}
    if search.body is not None:
        cost |= client.ask(search, "/api/v1/search/explain")[1]
    sources = ", ".join(
        dict.fromkeys(f"{each['part'].partition('.')[0]}: {each['source']}" for each in cost["statements"])
    )
    shown = f"{bound}{total:,}" if total is not None else "timeout" if "known" in last else ""
    return Measured(search, cold, warm, cost["rows_read"], cost["bytes_read"], sources, shown)


def percentile(values: Sequence[float], percent: int) -> float:
    """Of few values: the next larger one."""
    return sorted(values)[min(len(values) - 1, -(-len(values) * percent // 100) - 1)] if values else math.nan


def drop_caches(store: ClickHouse) -> None:
    """Those of the store, and the kernel's where this process may."""
    for cache in CACHES:
        store.command(f"SYSTEM CLEAR {cache}")
    with suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("1")

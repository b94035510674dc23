"""Runs searches on a store as the planner does, without its bounds."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from core.clock import SystemClock
from query.execution import Execution
from query.remembered import Remembered
from query.request import SearchRequest, parse_request
from query.search import search_of
from query.session import Session
from storage.clickhouse import ClickHouse

CLOCK = SystemClock()
TIMEOUT_S = 30


class Searcher:
    """Called with the keys of a search's body."""

    def __init__(
        self,
        clickhouse: ClickHouse,
        count_budget_s: float = 10,
        columns: frozenset[str] = frozenset(),
    ) -> None:
        self._clickhouse, self._count_budget_s = clickhouse, count_budget_s
        self._columns = columns
        self._threads = ThreadPoolExecutor(2)
        self._remembered = Remembered(CLOCK)

    async def __call__(self, **body: Any) -> Any:
        search = search_of(parse_request(SearchRequest, body), CLOCK.now_ns(), TIMEOUT_S, TIMEOUT_S)
        deadline_s = CLOCK.monotonic_s() + TIMEOUT_S
        session = Session(self._clickhouse, self._threads, CLOCK, deadline_s, self._remembered, self._columns)
        return json.loads(await Execution(session, search, self._count_budget_s).run())

"""The query planner: takes searches, a bounded number at once, and answers with finished JSON.

A search is cancelled with the call that asked for it, and ends in ClickHouse with it. The planner keeps no
state: after a crash it is as good as before.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import orjson
from pydantic import SecretStr
from ray.actor import ActorHandle

from actors.metrics_reporter import MetricsReporter
from actors.own_columns import OwnColumns
from actors.placement import QUERY_PLANNER, actor_options, start_actor
from core.clock import Clock, SystemClock
from core.errors import LograyError, NotFound
from core.metric_names import SEARCH_LATENCY, SEARCHES, SEARCHES_RUNNING, SEARCHES_WAITING
from core.metrics import Metrics, Snapshot
from core.settings import SearchSettings
from query.admission import Admission
from query.aggregation_request import TermsRequest
from query.answers import Row, answer_log
from query.column_choice import ColumnChoice
from query.execution import Execution
from query.export import ExportCursor, ExportPage, export_page, export_search
from query.field_list import list_fields
from query.learning import has_dictionary
from query.log_context import log_search, neighbour_searches
from query.remembered import Remembered
from query.request import (
    ContextRequest,
    ExportRequest,
    FieldsRequest,
    RangeRequest,
    SearchRequest,
    ValuesRequest,
    parse_request,
)
from query.search import Search, position_of, search_of
from query.session import STATEMENTS_MAX, Session
from storage.clickhouse import ClickHouse

CPUS: Final = 0.1
CALLS_BESIDE_SEARCHES: Final = 16  # observe and the like, whatever waits
SHORT_QUERY_CHARS: Final = 100  # read in 0.2 ms, at worst in 4: a thread would take as long to begin

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannerState:
    """The planner's numbers: searches under way and in the queue."""

    running: int
    waiting: int


class QueryPlanner:
    """Answers searches from one ClickHouse. Used from one event loop."""

    def __init__(self, store: ClickHouse, settings: SearchSettings, metrics: Metrics, clock: Clock) -> None:
        self._store, self._settings, self._metrics, self._clock = store, settings, metrics, clock
        self._admission = Admission(settings.concurrency_max, settings.queue_max, settings.queue_wait_s)
        self._remembered = Remembered(clock)
        self._dictionary: bool | None = None  # whether the index's dictionary can be read; not known yet
        self._columns = OwnColumns(store, settings.columns, settings.columns_chosen_max, ColumnChoice(clock))
        self._threads = ThreadPoolExecutor(
            settings.concurrency_max * STATEMENTS_MAX, thread_name_prefix="search"
        )

    async def search(self, body: Mapping[str, Any]) -> bytes:
        """The answer to the decoded body of POST /api/v1/search, in JSON.

        Raises InvalidSearch, QuerySyntaxError, SearchTimeout, Overloaded, StorageError.
        """
        async with self._counted():
            search = await self._read(body)
            async with self._admission.slot():
                return await self._run(search)

    async def explain(self, body: Mapping[str, Any]) -> bytes:
        """The same search, answered with which source answered what, the SQL, and what was read."""
        async with self._counted():
            search = replace(await self._read(body), explain=True)
            async with self._admission.slot():
                answer = orjson.loads(await self._run(search))
                return orjson.dumps(
                    answer["explain"] | {"took_ms": answer["took_ms"], "total": answer["total"]}
                )

    async def export(self, body: Mapping[str, Any], cursor: ExportCursor | None) -> ExportPage:
        """A page of an export: the first without a cursor, then each with that of the one before."""
        async with self._counted():
            request = parse_request(ExportRequest, body)
            cursor = cursor or ExportCursor(None, 0, self._clock.now_ns())
            search = await asyncio.to_thread(export_search, request, cursor)
            timeout_s = min(request.timeout or self._settings.timeout_s, self._settings.timeout_max_s)
            async with self._admission.slot():
                rows = await (await self._execution(replace(search, timeout_s=timeout_s))).rows()
            return await asyncio.to_thread(export_page, rows, search, request, cursor)

    async def fields(self, query: Mapping[str, str]) -> bytes:
        """The answer to the URL's query of GET /api/v1/fields, in JSON."""
        async with self._counted():
            search = await self._read(query, FieldsRequest)
            async with self._admission.slot():
                session = self._session(search.timeout_s)
                return orjson.dumps(await list_fields(session, search))

    async def values(self, field: str, query: Mapping[str, str]) -> bytes:
        """The answer to the URL's query of GET /api/v1/fields/{name}/values, in JSON."""
        async with self._counted():
            request = parse_request(ValuesRequest, query)
            top = parse_request(TermsRequest, {"field": field, "size": request.size})
            search = replace(
                await self._read(query, ValuesRequest), limit=0, count="none", aggregations=(("values", top),)
            )
            async with self._admission.slot():
                answer = orjson.loads(await (await self._execution(search)).run())
            counts = answer["aggregations"]["values"]
            values = [{"value": value, "count": count} for value, count in counts.items()]
            return orjson.dumps({"field": field, "values": values, "took_ms": answer["took_ms"]})

    async def log(self, log_id: str) -> bytes:
        """One log, in JSON. Raises NotFound."""
        async with self._counted(), self._admission.slot():
            return orjson.dumps(answer_log(await self._stored(log_id), None))

    async def context(self, log_id: str, query: Mapping[str, str]) -> bytes:
        """A log with its neighbours of the same service and source, in JSON. Raises NotFound."""
        async with self._counted():
            request = parse_request(ContextRequest, query)
            async with self._admission.slot():
                row = await self._stored(log_id)
                searches = neighbour_searches(row, request.before, request.after)
                found = await asyncio.gather(*[(await self._execution(each)).rows() for each in searches])
            before, after = ([answer_log(each, None) for each in rows] for rows in found)
            return orjson.dumps({"before": before[::-1], "log": answer_log(row, None), "after": after})

    def observe(self) -> PlannerState:
        """The numbers of this moment."""
        return PlannerState(self._admission.running, self._admission.waiting)

    def snapshot(self) -> Snapshot:
        """The metrics of this process."""
        return self._metrics.snapshot()

    def close(self) -> None:
        """Take no more statements."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _read(self, body: Mapping[str, Any], model: type[RangeRequest] = SearchRequest) -> Search:
        request = parse_request(model, body)
        read = partial(
            search_of, request, self._clock.now_ns(), self._settings.timeout_s, self._settings.timeout_max_s
        )
        if len(request.query) <= SHORT_QUERY_CHARS:
            return read()
        # A long query takes its time to parse: others go on meanwhile.
        return await asyncio.to_thread(read)

    async def _stored(self, log_id: str) -> Row:
        at = position_of(log_id)
        rows = [] if at is None else await (await self._execution(log_search(at))).rows()
        if not rows:
            raise NotFound(f"there is no log with the id {log_id[:100]}")
        return rows[0]

    async def _run(self, search: Search) -> bytes:
        execution = await self._execution(search)
        try:
            return await execution.run()
        finally:
            if self._dictionary:
                self._columns.note(execution.session)

    async def _execution(self, search: Search) -> Execution:
        if self._dictionary is None:
            await self._columns.read()
            self._dictionary = await has_dictionary(self._session(search.timeout_s))
        session = self._session(search.timeout_s)
        return Execution(session, search, self._settings.count_budget_s, self._dictionary)

    def _session(self, timeout_s: float) -> Session:
        deadline_s = self._clock.monotonic_s() + timeout_s
        return Session(
            self._store, self._threads, self._clock, deadline_s, self._remembered, self._columns.fields
        )

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        began_s, outcome = self._clock.monotonic_s(), "failed"
        try:
            yield
            outcome = "answered"
        except LograyError as error:
            outcome = OUTCOMES.get(error.status, "failed")
            raise
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._metrics.count(SEARCHES, 1, (outcome,))
            self._metrics.observe(SEARCH_LATENCY, self._clock.monotonic_s() - began_s)
            state = self.observe()
            self._metrics.set(SEARCHES_RUNNING, state.running)
            self._metrics.set(SEARCHES_WAITING, state.waiting)


OUTCOMES: Final = {400: "invalid", 404: "not_found", 429: "refused", 504: "timeout"}


class QueryPlannerActor(QueryPlanner):
    """The planner in a process of its own: its store, its metrics and their report."""

    def __init__(self, settings: SearchSettings, store_url: SecretStr) -> None:
        clock = SystemClock()
        metrics = Metrics(clock)
        # A statement ends at its own deadline; the connection only outlives the longest one.
        store = ClickHouse(store_url, read_timeout_s=round(settings.timeout_max_s) + 10)
        super().__init__(store, settings, metrics, clock)
        self._reporting = asyncio.create_task(MetricsReporter(metrics, clock).run())


def start_query_planner(settings: SearchSettings, store_url: SecretStr) -> "ActorHandle[Any]":
    """The planner's actor, started if there is none."""
    calls_max = settings.concurrency_max + settings.queue_max + CALLS_BESIDE_SEARCHES
    return start_actor(QueryPlannerActor, actor_options(QUERY_PLANNER, CPUS, calls_max), settings, store_url)

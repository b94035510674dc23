"""The query planner: takes searches, a bounded number at once, and answers with finished JSON.

A search is cancelled with the call that asked for it, and ends in ClickHouse with it. The planner keeps no
state: after a crash it is as good as before.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import ray
from pydantic import SecretStr
from ray.actor import ActorHandle

from actors.metrics_reporter import MetricsReporter
from actors.placement import QUERY_PLANNER, actor_options
from core.clock import Clock, SystemClock
from core.errors import LograyError
from core.metric_names import SEARCH_LATENCY, SEARCHES, SEARCHES_RUNNING, SEARCHES_WAITING
from core.metrics import Metrics, Snapshot
from core.settings import SearchSettings
from query.admission import Admission
from query.execution import Execution
from query.request import SearchRequest, parse_request
from query.search import search_of
from query.session import Session
from storage.clickhouse import ClickHouse

CPUS: Final = 0.1
STATEMENTS_PER_SEARCH: Final = 2  # at once
CALLS_BESIDE_SEARCHES: Final = 16  # observe and the like, whatever waits

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
        self._threads = ThreadPoolExecutor(
            settings.concurrency_max * STATEMENTS_PER_SEARCH, thread_name_prefix="search"
        )

    async def search(self, body: Mapping[str, Any]) -> bytes:
        """The answer to the decoded body of POST /api/v1/search, in JSON.

        Raises InvalidSearch, QuerySyntaxError, SearchTimeout, Overloaded, StorageError.
        """
        async with self._counted():
            request = parse_request(SearchRequest, body)
            # A long query takes its time to parse: others go on meanwhile.
            search = await asyncio.to_thread(
                search_of,
                request,
                self._clock.now_ns(),
                self._settings.timeout_s,
                self._settings.timeout_max_s,
            )
            async with self._admission.slot():
                session = self._session(search.timeout_s)
                return await Execution(session, search, self._settings.count_budget_s).run()

    def observe(self) -> PlannerState:
        """The numbers of this moment."""
        return PlannerState(self._admission.running, self._admission.waiting)

    def snapshot(self) -> Snapshot:
        """The metrics of this process."""
        return self._metrics.snapshot()

    def close(self) -> None:
        """Take no more statements."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _session(self, timeout_s: float) -> Session:
        return Session(self._store, self._threads, self._clock, self._clock.monotonic_s() + timeout_s)

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


def start_query_planner(settings: SearchSettings, store_url: SecretStr) -> ActorHandle:
    """The planner's actor, started if there is none."""
    calls_max = settings.concurrency_max + settings.queue_max + CALLS_BESIDE_SEARCHES
    actor = ray.remote(QueryPlannerActor).options(**actor_options(QUERY_PLANNER, CPUS, calls_max))
    handle: ActorHandle = actor.remote(settings, store_url)
    return handle

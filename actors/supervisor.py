"""The supervisor: starts every other actor, downstream first, on the node where it belongs, and watches it.

Ray restarts an actor that crashes. What Ray gives up (a constructor that failed, a node that went away) is
started anew here, as are the writers and listeners of a node that joins the cluster.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from pydantic import SecretStr
from ray.actor import ActorHandle
from ray.exceptions import ActorUnavailableError, RayError

from actors.alert_supervisor import start_alert_supervisor
from actors.embedded_clickhouse import start_embedded_clickhouse
from actors.metrics_hub import start_metrics_hub
from actors.nodes import ClusterNode, living_nodes, partitions_of
from actors.partition_writer import start_partition_writer
from actors.placement import SUPERVISOR, actor_options, start_actor, tcp_listener_name
from actors.query_planner import start_query_planner
from actors.tcp_listener import start_tcp_listener
from core.clock import Clock, SystemClock
from core.errors import IncompatibleTables, LograyError, SettingsError
from core.settings import Settings
from storage.clickhouse import ClickHouse
from storage.migrations import migrate
from storage.own_columns import add_own_columns
from storage.partitions import claim_partitions

CPUS: Final = 0.05
CALLS_MAX: Final = 100
INTERVAL_S: Final = 5.0
ANSWER_WITHIN_S: Final = 60.0  # of an actor that is starting
CHECK_WITHIN_S: Final = 3.0
STORE_TIMEOUT_S: Final = 60
HOPELESS: Final = (SettingsError, IncompatibleTables)  # to try again mends nothing

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Cast:
    """The actors that should run: name → handle, and what each node has."""

    handles: "dict[str, ActorHandle[Any]]" = field(default_factory=dict)
    partitions: dict[str, list[int]] = field(default_factory=dict)  # by node id


@dataclass(frozen=True, slots=True)
class SupervisorState:
    """What should run and what is wrong with it."""

    ready: bool
    nodes: int
    partitions: list[int]
    actors: list[str]
    problems: dict[str, str]


class Supervisor:
    """Tends the service's actors until it is told to drain them; constructed in a running event loop."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._cast = _Cast()
        self._problems: dict[str, str] = {"service": "is starting"}
        self._hopeless = False  # the store cannot be had with these settings, or by this version
        self._store_url: SecretStr | None = settings.clickhouse.url
        self._store: ClickHouse | None = None
        self._migrated = False
        self._passed = asyncio.Condition()
        self._tending = asyncio.create_task(self._tend_for_ever())

    async def wait_until_ready(self, timeout_s: float) -> dict[str, str]:
        """What is still wrong after that time, or can be known to stay wrong; empty once everything runs."""
        try:
            async with asyncio.timeout(timeout_s), self._passed:
                await self._passed.wait_for(lambda: not self._problems or self._hopeless)
        except TimeoutError:
            pass
        return self._problems

    async def partitions(self) -> list[int]:
        """The WAL partitions that have a writer."""
        return sorted(number for numbers in self._cast.partitions.values() for number in numbers)

    async def store_url(self) -> SecretStr | None:
        """The URL of the store; None while the embedded one is still starting for the first time."""
        return self._store_url

    async def check(self) -> dict[str, str]:
        """What keeps the service from taking or finding logs now, by part; empty when all is well."""
        found = dict(self._problems)
        writers = {name: handle for name, handle in self._cast.handles.items() if _is_writer(name)}
        answering, refusals = await asyncio.gather(
            self._store_answers(), _ask(writers, "refusal", CHECK_WITHIN_S)
        )
        if not answering:
            found["storage"] = "ClickHouse does not answer"
        for name, answer in refusals.items():
            if isinstance(answer, Exception):
                found[name] = _reason(answer)
            elif answer:
                found[name] = answer
        return found

    async def observe(self) -> dict[str, Any]:
        """The supervisor's own state, for people."""
        names = sorted(self._cast.handles)
        nodes = len(self._cast.partitions)
        return asdict(
            SupervisorState(not self._problems, nodes, await self.partitions(), names, self._problems)
        )

    async def drain(self, timeout_s: float) -> dict[str, str]:
        """Take nothing in any more and have every buffer written to the store; returns what was not."""
        self._tending.cancel()
        unfinished: dict[str, str] = {}
        for belongs in (_is_listener, _is_writer):
            chosen = {name: handle for name, handle in self._cast.handles.items() if belongs(name)}
            for name, answer in (await _ask(chosen, "drain", timeout_s, timeout_s)).items():
                if isinstance(answer, Exception):
                    unfinished[name] = _reason(answer)
                elif answer is False:
                    unfinished[name] = "not everything is in the store yet"
        return unfinished

    async def _store_answers(self) -> bool:
        if self._store is None:
            return True  # it is among the problems while it starts
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._store.ping), CHECK_WITHIN_S)
        except TimeoutError:
            return False

    async def _tend_for_ever(self) -> None:
        while True:
            problems = await self._tend()
            for name, problem in problems.items():
                if self._problems.get(name) != problem:
                    log.warning("%s: %s", name, problem)
            async with self._passed:
                self._problems = problems
                self._passed.notify_all()
            await self._clock.sleep(INTERVAL_S)

    async def _tend(self) -> dict[str, str]:
        """Start what is missing; returns what is wrong, by actor."""
        problems: dict[str, str] = {}

        async def attempt(name: str, work: Awaitable[None]) -> None:
            try:
                await work
            except HOPELESS as error:
                problems[name] = _reason(error)
                self._hopeless = True
            except (LograyError, RayError, OSError, TimeoutError, ValueError) as error:
                problems[name] = _reason(error)
            except Exception as error:
                log.exception("cannot start %s", name)
                problems[name] = _reason(error)

        nodes = await asyncio.to_thread(living_nodes)
        await attempt("metrics-hub", self._start("metrics-hub", start_metrics_hub))
        self._hopeless = False
        await attempt("storage", self._start_storage(nodes))
        if self._hopeless and not self._migrated:
            return problems  # nothing runs without the tables
        for node in nodes:
            await attempt(f"writers on {node.address}", self._start_writers(node))
        if self._store_url is not None:
            search, url = self._settings.search, self._store_url
            await attempt("query-planner", self._start("query-planner", start_query_planner, search, url))
            alerts = self._settings.alerts
            await attempt(
                "alert-supervisor", self._start("alert-supervisor", start_alert_supervisor, alerts, url)
            )
        for node in nodes:
            await attempt(f"listeners on {node.address}", self._start_listeners(node))
        self._forget_nodes({node.id for node in nodes})
        for name, answer in (await _ask(self._cast.handles, "__ray_ready__", ANSWER_WITHIN_S)).items():
            if isinstance(answer, Exception):
                problems.setdefault(name, _reason(answer))
        return problems

    async def _start(self, name: str, start: Callable[..., ActorHandle[Any]], *arguments: Any) -> None:
        # Finds the living one by its name or makes it; only what died for good is made anew.
        self._cast.handles[name] = await asyncio.to_thread(start, *arguments)

    async def _start_storage(self, nodes: list[ClusterNode]) -> None:
        clickhouse = self._settings.clickhouse
        if clickhouse.url is None:
            if len(nodes) > 1:
                raise SettingsError(
                    "a cluster of several nodes needs clickhouse.url: the embedded one is local"
                )
            await self._start(
                "embedded-clickhouse",
                start_embedded_clickhouse,
                clickhouse,
                self._settings.data_dir,
                nodes[0].id,
            )
            self._store_url = await asyncio.wait_for(
                self._cast.handles["embedded-clickhouse"].url.remote(), ANSWER_WITHIN_S
            )
        assert self._store_url is not None
        if self._store is None:
            self._store = ClickHouse(self._store_url, STORE_TIMEOUT_S)
        if not self._migrated:
            applied = await asyncio.to_thread(migrate, self._store, clickhouse.cluster)
            if applied:
                log.info("applied the migrations %s", ", ".join(applied))
            columns = self._settings.search.columns
            added = await asyncio.to_thread(add_own_columns, self._store, columns, clickhouse.cluster)
            if added:
                log.info("gave columns of their own to %s", ", ".join(added))
            self._migrated = True

    async def _start_writers(self, node: ClusterNode) -> None:
        if self._store_url is None:
            return
        settings = self._settings
        if node.id not in self._cast.partitions:
            found = await partitions_of(node, settings.data_dir)
            missing = settings.wal.partitions - len(found)
            if missing > 0:
                assert self._store is not None
                found += await asyncio.to_thread(claim_partitions, self._store, node.address, missing)
            self._cast.partitions[node.id] = found
        for number in self._cast.partitions[node.id]:
            await self._start(
                f"partition-writer-{number:03d}",
                start_partition_writer,
                number,
                settings.wal,
                settings.data_dir,
                self._store_url,
                node.id,
            )

    async def _start_listeners(self, node: ClusterNode) -> None:
        settings = self._settings
        if not (settings.tcp.port or settings.tls.enabled or settings.udp.port):
            return
        for number in range(settings.tcp.workers):
            name = tcp_listener_name(node.id, number)
            await self._start(name, start_tcp_listener, number, settings, node.id)
            await asyncio.wait_for(self._cast.handles[name].ready.remote(), ANSWER_WITHIN_S)

    def _forget_nodes(self, living: set[str]) -> None:
        for gone in set(self._cast.partitions) - living:
            log.warning("the node %s left: its writers come back with it", gone)
            for number in self._cast.partitions.pop(gone):
                self._cast.handles.pop(f"partition-writer-{number:03d}", None)
            for number in range(self._settings.tcp.workers):
                self._cast.handles.pop(tcp_listener_name(gone, number), None)


def _is_writer(name: str) -> bool:
    return name.startswith("partition-writer-")


def _is_listener(name: str) -> bool:
    return name.startswith("tcp-listener-")


async def _ask(
    handles: dict[str, ActorHandle[Any]], method: str, timeout_s: float, *arguments: Any
) -> dict[str, Any]:
    """Every actor's answer, or the exception that came instead of it."""

    async def one(handle: ActorHandle[Any]) -> Any:
        return await asyncio.wait_for(getattr(handle, method).remote(*arguments), timeout_s)

    names = list(handles)
    answers = await asyncio.gather(*(one(handles[name]) for name in names), return_exceptions=True)
    return dict(zip(names, answers, strict=True))


def _reason(error: BaseException) -> str:
    """One line: of a dead actor, what its constructor said."""
    if isinstance(error, TimeoutError):
        return "does not answer"
    if isinstance(error, ActorUnavailableError):
        return "is restarting"
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[-1][:500] if lines else type(cause).__name__


class SupervisorActor(Supervisor):
    """The supervisor in a process of its own."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, SystemClock())


def start_supervisor(settings: Settings) -> "ActorHandle[Any]":
    """The supervisor's actor, started if there is none."""
    return start_actor(SupervisorActor, actor_options(SUPERVISOR, CPUS, CALLS_MAX), settings)

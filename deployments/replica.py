"""What one HTTP replica is made of: built in its own process, from a few settings."""

from dataclasses import dataclass

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from actors.metrics_reporter import MetricsReporter
from actors.named import NamedActors
from actors.placement import SUPERVISOR
from actors.planner_client import PlannerClient
from actors.writer_directory import WriterDirectory
from core.clock import SystemClock
from core.errors import StorageUnavailable
from core.metrics import Metrics
from deployments.access import Access
from deployments.application import build_application
from deployments.dead_letters_api import DeadLettersApi
from deployments.health import HealthApi
from deployments.ingest import Ingest
from deployments.search_api import log_routes, search_routes
from storage.clickhouse import ClickHouse


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """What a replica must know; where the writers and the store are it learns from the supervisor."""

    key_hash: bytes
    bound_host: str

    @property
    def access(self) -> Access:
        """The rules of who may call what."""
        return Access((self.key_hash,), self.bound_host)


class Replica:
    """What every replica has: clock, metrics and their report, the way to the actors and to the writers."""

    def __init__(self) -> None:
        self.clock = SystemClock()
        self.metrics = Metrics(self.clock)
        self.actors = NamedActors()
        self.writers = WriterDirectory(self.actors, self.clock)
        self.background = [MetricsReporter(self.metrics, self.clock).run, self.writers.run]
        self._store: ClickHouse | None = None

    async def store(self) -> ClickHouse:
        """The store's client. Raises StorageUnavailable while the service is starting."""
        if self._store is None:
            url = await self.actors.ask(SUPERVISOR, "store_url")
            if url is None:
                raise StorageUnavailable("the store is starting, try again")
            self._store = ClickHouse(url)
        return self._store


def build_ingest(settings: ReplicaSettings) -> ASGIApp:
    """The application below `/api/v1/logs`."""
    replica = Replica()
    ingest = Ingest(replica.writers.client, replica.metrics, replica.clock)
    routes: list[BaseRoute] = [
        Route("/api/v1/logs", ingest.post_logs, methods=["POST"]),
        *log_routes(PlannerClient(replica.actors, replica.clock)),
    ]
    return build_application(routes, settings.access, replica.metrics, replica.background)


def build_api(settings: ReplicaSettings) -> ASGIApp:
    """Everything else."""
    replica = Replica()
    clock, metrics = replica.clock, replica.metrics
    dead_letters = DeadLettersApi(replica.store, replica.writers.client, metrics, clock)
    routes: list[BaseRoute] = [
        *HealthApi(replica.actors, clock).routes(),
        *dead_letters.routes(),
        *search_routes(PlannerClient(replica.actors, clock)),
    ]
    return build_application(routes, settings.access, metrics, replica.background)

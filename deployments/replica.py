"""What one HTTP replica is made of: built in its own process, from a few settings."""

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from actors.haproxy_refusals import refusals_of_this_node
from actors.metrics_reporter import MetricsReporter
from actors.named import NamedActors
from actors.placement import SUPERVISOR
from actors.planner_client import PlannerClient
from actors.writer_directory import WriterDirectory
from alerts.clickhouse_http import StoreUrl
from core.clock import SystemClock
from core.errors import StorageUnavailable
from core.metrics import Metrics
from core.settings import AlertSettings
from deployments.access import Access
from deployments.alerts_api import alert_routes
from deployments.application import build_application
from deployments.dead_letters_api import DeadLettersApi
from deployments.health import HealthApi
from deployments.ingest import Ingest
from deployments.search_api import log_routes, search_routes
from storage.clickhouse import ClickHouse
from storage.dead_letters import DeadLetters


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """What a replica must know; where the writers and the store are it learns from the supervisor."""

    key_hash: bytes
    bound_host: str
    alerts: AlertSettings

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
        refusals = refusals_of_this_node(self.metrics, self.clock)
        self.background = [MetricsReporter(self.metrics, self.clock).run, self.writers.run, refusals.run]


class StoreRoutes:
    """An ASGI app for routes that need the store: its URL is known once the service has started."""

    def __init__(self, actors: NamedActors, build: Callable[[SecretStr], list[Route]]) -> None:
        self._actors, self._build = actors, build
        self._router: Router | None = None

    def below(self, *prefixes: str) -> list[BaseRoute]:
        """One route for all paths that begin so."""
        return [Route(f"{prefix}{{rest:path}}", self) for prefix in prefixes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or raise StorageUnavailable while the service is starting."""
        if self._router is None:
            url = await self._actors.ask(SUPERVISOR, "store_url")
            if url is None:
                raise StorageUnavailable("the store is starting, try again")
            self._router = Router(self._build(url))
        await self._router(scope, receive, send)


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
    actors, clock, metrics = replica.actors, replica.clock, replica.metrics

    def with_store(url: SecretStr) -> list[Route]:
        letters = DeadLetters(ClickHouse(url))
        return [
            *DeadLettersApi(letters, replica.writers.client, metrics, clock).routes(),
            *alert_routes(StoreUrl(url.get_secret_value()), actors, settings.alerts, clock),
        ]

    routes: list[BaseRoute] = [
        *HealthApi(actors, clock).routes(),
        *search_routes(PlannerClient(actors, clock)),
        *StoreRoutes(actors, with_store).below("/api/v1/dead-letters", "/api/v1/alerts"),
    ]
    return build_application(routes, settings.access, metrics, replica.background)

"""What one HTTP replica is made of: built in its own process, from a few settings."""

from dataclasses import dataclass

from pydantic import SecretStr
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from actors.metrics_reporter import MetricsReporter
from actors.named import NamedActors
from actors.writer_client import connect_writers
from core.clock import SystemClock
from core.metrics import Metrics
from deployments.access import Access
from deployments.application import build_application
from deployments.dead_letters_api import DeadLettersApi
from deployments.health import HealthApi
from deployments.ingest import Ingest
from storage.clickhouse import ClickHouse
from storage.dead_letters import DeadLetters


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """What a replica must know: the key's hash, the address it is reached at, the writers and the store."""

    key_hash: bytes
    bound_host: str
    partitions: tuple[int, ...]
    store_url: SecretStr

    @property
    def access(self) -> Access:
        """The rules of who may call what."""
        return Access((self.key_hash,), self.bound_host)


def build_ingest(settings: ReplicaSettings) -> ASGIApp:
    """The application below `/api/v1/logs`."""
    clock = SystemClock()
    metrics = Metrics(clock)
    ingest = Ingest(connect_writers(settings.partitions, clock), metrics, clock)
    routes: list[BaseRoute] = [Route("/api/v1/logs", ingest.post_logs, methods=["POST"])]
    return build_application(routes, settings.access, metrics, [MetricsReporter(metrics, clock).run])


def build_api(settings: ReplicaSettings) -> ASGIApp:
    """Everything else."""
    clock = SystemClock()
    metrics = Metrics(clock)
    writers = connect_writers(settings.partitions, clock)
    dead_letters = DeadLettersApi(DeadLetters(ClickHouse(settings.store_url)), writers, metrics, clock)
    routes: list[BaseRoute] = [*HealthApi(NamedActors(), clock).routes(), *dead_letters.routes()]
    return build_application(routes, settings.access, metrics, [MetricsReporter(metrics, clock).run])

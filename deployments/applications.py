"""The service as a whole, on the Ray this process is connected to: start it, and drain it before a stop."""

import logging
from typing import Any, Final

import ray
from ray import serve
from ray.serve.schema import LoggingConfig
from starlette.types import ASGIApp

from actors.nodes import living_nodes
from actors.placement import NAMESPACE, SUPERVISOR
from actors.supervisor import start_supervisor
from core.errors import LograyError
from core.settings import Settings
from deployments.access import hash_key
from deployments.replica import ReplicaSettings, build_api, build_ingest
from deployments.replica_counts import by_load, on_each_node
from deployments.serving import in_cluster, start_serve

APPLICATION_NAMES: Final = frozenset({"ingest", "api"})
INGEST_PREFIX: Final = "/api/v1/logs"
READY_WITHIN_S: Final = 150.0  # the first start on a slow machine
DRAIN_WITHIN_S: Final = 30.0

INGEST_CPUS: Final = 0.2
API_CPUS: Final = 0.1
# Requests at once of one replica before another is started: one is parsed, the rest wait for an fsync.
INGEST_TARGET_REQUESTS: Final = 8
UPSCALE_AFTER_S: Final = 10.0
DOWNSCALE_AFTER_S: Final = 300.0
STOP_WITHIN_S: Final = 10.0  # for the requests of a replica that leaves
HEALTH_CHECK_S: Final = 2.0  # a dead replica is replaced so soon; Serve's default is 10

log = logging.getLogger(__name__)


class NotReady(LograyError):
    """The service did not come up; the message says which part and why."""


def deploy(settings: Settings) -> None:
    """Start the actors, then the HTTP applications; returns when all run. Raises NotReady."""
    assert settings.api_key is not None, "the launcher has filled it in"
    replica = ReplicaSettings(
        hash_key(settings.api_key.get_secret_value()), settings.http.host, settings.alerts
    )
    targets = [
        serve.RunTarget(target=_ingest(settings, replica), name="ingest", route_prefix=INGEST_PREFIX),
        serve.RunTarget(target=_api(settings, replica), name="api", route_prefix="/"),
    ]
    # Replicas find the actors by their names once they are there: all start side by side.
    supervisor: Any = start_supervisor(
        settings.model_copy(update={"api_key": None})
    )  # no actor needs the key
    start_serve(settings)
    serve.run_many(targets)
    problems: dict[str, str] = _answer(supervisor.wait_until_ready.remote(READY_WITHIN_S))
    if problems:
        raise NotReady("; ".join(f"{name}: {problem}" for name, problem in sorted(problems.items())))


def drain() -> None:
    """Have every buffer written to the store. Raises NotReady with what was not."""
    supervisor: Any = ray.get_actor(SUPERVISOR, NAMESPACE)
    unfinished: dict[str, str] = _answer(supervisor.drain.remote(DRAIN_WITHIN_S))
    if unfinished:
        raise NotReady("; ".join(f"{name}: {reason}" for name, reason in sorted(unfinished.items())))


def _answer(reference: Any) -> Any:
    # The launcher's own process may wait; nothing in the service does.
    return ray.get(reference)


def _ingest(settings: Settings, replica: ReplicaSettings) -> serve.Application:
    def build() -> ASGIApp:
        return build_ingest(replica)

    http = settings.http
    deployment: Any = serve.deployment(
        serve.ingress(build)(),
        name="ingest",
        ray_actor_options={"num_cpus": INGEST_CPUS},
        max_ongoing_requests=http.requests_per_replica_max,
        autoscaling_config={
            **by_load(http.replicas_min, http.replicas_max, len(living_nodes())),
            "target_ongoing_requests": INGEST_TARGET_REQUESTS,
            "upscale_delay_s": UPSCALE_AFTER_S,
            "downscale_delay_s": DOWNSCALE_AFTER_S,
        },
        **_spread(http.replicas_max),
        graceful_shutdown_timeout_s=STOP_WITHIN_S,
        graceful_shutdown_wait_loop_s=1.0,
        health_check_period_s=HEALTH_CHECK_S,
        # /metrics counts requests by answer: a line for each, at hundreds a second, only fills the disk.
        logging_config=LoggingConfig(enable_access_log=False),
    )
    application: serve.Application = deployment.bind()
    return application


def _api(settings: Settings, replica: ReplicaSettings) -> serve.Application:
    def build() -> ASGIApp:
        return build_api(replica)

    deployment: Any = serve.deployment(
        serve.ingress(build)(),
        name="api",
        autoscaling_config=on_each_node(len(living_nodes())),
        **_spread(1),
        ray_actor_options={"num_cpus": API_CPUS},
        max_ongoing_requests=settings.http.requests_per_replica_max,
        graceful_shutdown_timeout_s=STOP_WITHIN_S,
        graceful_shutdown_wait_loop_s=1.0,
        health_check_period_s=HEALTH_CHECK_S,
    )
    application: serve.Application = deployment.bind()
    return application


def _spread(most: int) -> dict[str, Any]:
    # A node that comes back finds room for its replicas nowhere else. Alone, a replica that hangs is replaced
    # before it has ended.
    return {"max_replicas_per_node": most} if in_cluster() else {}

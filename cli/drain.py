"""The child process of `logray down` that speaks to Ray: buffers are written, then the service is removed.

A process of its own, because Ray may end or hang the process it runs in when its head dies meanwhile.
"""

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass

NAMESPACE = "logray"


@dataclass(frozen=True, slots=True)
class DrainOrder:
    """Which service; in a cluster that stays, its applications and actors are removed as well."""

    ray_address: str
    existing_cluster: bool


def main() -> None:
    """Carry out the order."""
    order: DrainOrder = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    import ray

    from deployments.applications import drain

    ray.init(address=order.ray_address, namespace=NAMESPACE, log_to_driver=False)
    try:
        drain()
    finally:
        # What could not be written waits in the WAL: it keeps nothing running.
        if order.existing_cluster:
            remove_from_cluster()
        ray.shutdown()


def remove_from_cluster() -> None:
    """Take Logray's applications and actors, and nothing else, out of the Ray cluster."""
    import ray
    from ray import serve

    from deployments.applications import APPLICATION_NAMES

    running = set(serve.status().applications)
    for name in running & APPLICATION_NAMES:
        serve.delete(name)
    if running <= APPLICATION_NAMES:
        end_serve: Callable[[], None] = serve.shutdown  # it has no types
        end_serve()
    for actor in ray.util.list_named_actors(all_namespaces=True):
        if actor["namespace"] == NAMESPACE:
            ray.kill(ray.get_actor(actor["name"], namespace=NAMESPACE), no_restart=True)


if __name__ == "__main__":
    main()

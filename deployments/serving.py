"""Ray Serve's own start: where HTTP comes in, on one machine and on a cluster."""

from collections.abc import Callable

import ray
from ray import serve
from ray.serve.config import HTTPOptions, ProxyLocation

from core.settings import Settings

KEEP_ALIVE_S = 75  # idle connections; HAProxy drops its own to a replica long before
LOOPBACK = "127.0.0.1"


def start_serve(settings: Settings) -> None:
    """Start Serve's controller and proxies; returns when they listen.

    On a Ray of our own, which is bound to loopback, HAProxy has its address from the launcher and all that
    belongs to Serve (the replicas' ports, the fallback proxy) stays on loopback too. In a cluster HAProxy
    on one node must reach the replicas on others.
    """
    on_loopback = not in_cluster()
    serve.start(
        proxy_location=ProxyLocation.EveryNode,
        http_options=HTTPOptions(
            host=LOOPBACK if on_loopback else settings.http.host,
            port=settings.http.port,
            keep_alive_timeout_s=KEEP_ALIVE_S,
        ),
    )


def in_cluster() -> bool:
    """Whether other nodes may join: a Ray of our own is bound to loopback, and stays alone."""
    address: Callable[[], str] = ray.util.get_node_ip_address  # it has no types
    return address() != LOOPBACK

"""How many replicas there shall be in a cluster: policies that Ray Serve's controller asks twice a second.

Serve runs a proxy only on nodes that have a replica of anything, and every node shall take logs: so each has
its own replica of the API, and the bounds of the ingest replicas grow with the number of nodes.
https://docs.ray.io/en/latest/serve/advanced-guides/advanced-autoscaling.html#custom-autoscaling-policies
"""

from collections.abc import Callable
from typing import Any, Final

from ray.serve.autoscaling_policy import replica_queue_length_autoscaling_policy
from ray.serve.config import AutoscalingContext

from actors.nodes import living_nodes
from core.clock import Clock, SystemClock

REPLICAS_MAX: Final = 10_000  # what Serve asks for beside the policies: they keep far below
LOOK_AGAIN_S: Final = 2.0  # each look at the nodes is a call to Ray's head
FOLLOW_NODES_AFTER_S: Final = 2.0  # a node joins or leaves: no rush of requests that may soon be over

Decision = tuple[float, dict[str, Any]]  # how many, before Serve rounds up, and what to tell the policy next


class Nodes:
    """How many nodes the cluster has now, looked at once in a while."""

    def __init__(self, clock: Clock, count: Callable[[], int]) -> None:
        self._clock, self._count = clock, count
        self._nodes, self._looked_at_s = 0, 0.0

    def __call__(self) -> int:
        """At least one."""
        now_s = self._clock.monotonic_s()
        if not self._nodes or now_s - self._looked_at_s >= LOOK_AGAIN_S:
            self._nodes, self._looked_at_s = max(self._count(), 1), now_s
        return self._nodes


def _cluster() -> Nodes:
    return Nodes(SystemClock(), lambda: len(living_nodes()))


class OnEachNode:
    """One replica for each node; `max_replicas_per_node` of the deployment is what spreads them."""

    def __init__(self, nodes: Nodes | None = None) -> None:
        self._nodes = nodes or _cluster()

    def __call__(self, _: AutoscalingContext) -> Decision:
        """As many as there are nodes."""
        return self._nodes(), {}


class ByLoad:
    """As many as the requests under way ask for, between so many and so many for each node."""

    def __init__(self, least: int, most: int, nodes: Nodes | None = None) -> None:
        self._least, self._most, self._nodes = least, most, nodes or _cluster()

    def __call__(self, context: AutoscalingContext) -> Decision:
        """Serve's own decision, within the bounds."""
        wanted, state = replica_queue_length_autoscaling_policy(context)
        nodes = self._nodes()
        return min(max(wanted, self._least * nodes), self._most * nodes), state


def by_load(least: int, most: int, nodes: int) -> dict[str, Any]:
    """The autoscaling of a deployment by its load; so many nodes there are when it begins."""
    return _autoscaling(ByLoad, least, nodes, {"least": least, "most": most})


def on_each_node(nodes: int) -> dict[str, Any]:
    """The autoscaling of a deployment with a replica for each node; so many there are when it begins."""
    delays = {"upscale_delay_s": FOLLOW_NODES_AFTER_S, "downscale_delay_s": FOLLOW_NODES_AFTER_S}
    return {**_autoscaling(OnEachNode, 1, nodes, {}), **delays}


def _autoscaling(policy: type, least: int, nodes: int, arguments: dict[str, int]) -> dict[str, Any]:
    return {
        "min_replicas": least,
        "initial_replicas": least * nodes,
        "max_replicas": REPLICAS_MAX,
        # By its name: the controller makes one of its own.
        "policy": {
            "policy_function": f"{policy.__module__}:{policy.__qualname__}",
            "policy_kwargs": arguments,
        },
    }

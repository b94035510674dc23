"""How many replicas the policies ask for, and how Ray Serve finds them."""

from typing import Any, cast

import pytest
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from deployments.replica_counts import LOOK_AGAIN_S, ByLoad, Nodes, OnEachNode, by_load, on_each_node
from tests.clocks import ManualClock


class Cluster:
    """So many nodes; counts how often it was looked at."""

    def __init__(self, nodes: int) -> None:
        self.nodes, self.looks = nodes, 0
        self.clock = ManualClock()

    def count(self) -> int:
        self.looks += 1
        return self.nodes

    def look(self) -> Nodes:
        return Nodes(self.clock, self.count)


def context(requests: float, replicas: int) -> AutoscalingContext:
    """Of a deployment whose replicas shall have ten requests each."""
    known: dict[str, Any] = {
        "current_num_replicas": replicas,
        "target_num_replicas": replicas,
        "total_num_requests": requests,
        "policy_state": {},
        "config": AutoscalingConfig(target_ongoing_requests=10),
    }
    others = ("deployment_id", "deployment_name", "app_name", "running_replicas", "total_queued_requests")
    more = ("aggregated_metrics", "raw_metrics", "last_scale_up_time", "last_scale_down_time", "current_time")
    bounds = ("capacity_adjusted_min_replicas", "capacity_adjusted_max_replicas")
    return AutoscalingContext(**dict.fromkeys(others + more + bounds, cast(Any, None)) | known)


@pytest.mark.parametrize(
    ("nodes", "requests", "wanted"),
    [(1, 0, 1), (1, 35, 3.5), (1, 999, 4), (3, 0, 3), (3, 35, 3.5), (3, 999, 12)],
)
def test_load_decides_within_bounds_for_each_node(nodes: int, requests: int, wanted: float) -> None:
    policy = ByLoad(least=1, most=4, nodes=Cluster(nodes).look())
    assert policy(context(requests, replicas=2))[0] == wanted


def test_each_node_has_one_whatever_the_load() -> None:
    cluster = Cluster(3)
    policy = OnEachNode(cluster.look())
    assert policy(context(999, replicas=3))[0] == 3
    cluster.nodes = 4
    cluster.clock.move(LOOK_AGAIN_S)
    assert policy(context(0, replicas=3))[0] == 4


def test_the_nodes_are_looked_at_once_in_a_while() -> None:
    cluster = Cluster(3)
    nodes = cluster.look()
    assert [nodes() for _ in range(10)] == [3] * 10
    assert cluster.looks == 1
    cluster.clock.move(LOOK_AGAIN_S)
    assert nodes() == 3
    assert cluster.looks == 2


def test_a_cluster_that_is_not_seen_has_the_node_that_looks() -> None:
    assert OnEachNode(Cluster(0).look())(context(0, replicas=1))[0] == 1


@pytest.mark.parametrize(
    ("autoscaling", "policy", "begins_with"),
    [(by_load(2, 5, 3), ByLoad, 6), (on_each_node(3), OnEachNode, 3)],
)
def test_the_controller_finds_the_policy_by_its_name(
    autoscaling: dict[str, Any], policy: type, begins_with: int
) -> None:
    config = AutoscalingConfig(**autoscaling)
    assert config.policy.get_policy() is policy
    policy(**config.policy.policy_kwargs)
    assert config.initial_replicas == begins_with

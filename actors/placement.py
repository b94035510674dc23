"""How the actors stand in Ray: one namespace, fixed names, restarted for ever, a fraction of a CPU each."""

from typing import Any, Final

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

NAMESPACE: Final = "logray"

METRICS_HUB: Final = "metrics-hub"
EMBEDDED_CLICKHOUSE: Final = "embedded-clickhouse"
SUPERVISOR: Final = "supervisor"
QUERY_PLANNER: Final = "query-planner"
ALERT_SUPERVISOR: Final = "alert-supervisor"
NOTIFIER: Final = "notifier"
ALERT_RULE_PREFIX: Final = "alert-rule-"


def partition_writer_name(partition: int) -> str:
    """The name of a partition's writer."""
    return f"partition-writer-{partition:03d}"


def tcp_listener_name(node_id: str, number: int) -> str:
    """The name of a node's listener: the beginning of Ray's id of the node, and the worker's number."""
    return f"tcp-listener-{node_id[:8]}-{number}"


def alert_rule_name(rule_id: str) -> str:
    """The name of a rule's actor: of `alert-3f2a…`, `alert-rule-3f2a…`."""
    return ALERT_RULE_PREFIX + rule_id.removeprefix("alert-")


def alert_rule_id(name: str) -> str:
    """The rule of an actor, by its name."""
    return "alert-" + name.removeprefix(ALERT_RULE_PREFIX)


def actor_options(name: str, cpus: float, calls_max: int, node_id: str | None = None) -> dict[str, Any]:
    """The Ray options of a long-lived actor; with a node id it lives on that node or not at all.

    `calls_max` bounds the calls under way at once; it must leave room for `observe`.
    """
    options: dict[str, Any] = {
        "name": name,
        "namespace": NAMESPACE,
        "lifetime": "detached",  # it outlives whoever started it
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,  # a call may have had its effect: the caller decides
        "num_cpus": cpus,
        "max_concurrency": calls_max,
    }
    if node_id is not None:
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node_id, soft=False)
    return options


def start_actor(actor_class: type, options: dict[str, Any], *arguments: Any) -> "ActorHandle[Any]":
    """The actor of these options: the living one of that name, else a new one made with the arguments."""
    actor: Any = ray.remote(actor_class)
    handle: ActorHandle[Any] = actor.options(**options).remote(*arguments)
    return handle

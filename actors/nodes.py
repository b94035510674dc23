"""The nodes of the Ray cluster, and what lies on their disks."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from storage.partitions import partitions_on_disk

LOOK_WITHIN_S: Final = 60.0  # the first look at a node starts a worker process there


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A living node: Ray's id, new whenever Ray starts there, and its address."""

    id: str
    address: str


def living_nodes() -> list[ClusterNode]:
    """All nodes that run, the one of this process first. Blocks."""
    own = ray.get_runtime_context().get_node_id()
    every: Callable[[], list[dict[str, Any]]] = ray.nodes  # it has no types
    nodes = [ClusterNode(node["NodeID"], node["NodeManagerAddress"]) for node in every() if node["Alive"]]
    return sorted(nodes, key=lambda node: (node.id != own, node.address))


async def partitions_of(node: ClusterNode, data_dir: Path) -> list[int]:
    """The WAL partitions on a node's disk. Raises RayError when the node goes away meanwhile."""
    if node.id == ray.get_runtime_context().get_node_id():
        return await asyncio.to_thread(partitions_on_disk, data_dir)
    strategy = NodeAffinitySchedulingStrategy(node.id, soft=False)
    look = ray.remote(partitions_on_disk).options(num_cpus=0, scheduling_strategy=strategy)
    found: list[int] = await asyncio.wait_for(look.remote(data_dir), LOOK_WITHIN_S)
    return found

"""The child process of `logray up` that speaks to Ray: starts the head, deploys, reports, ends.

Reads a pickled Order from standard input and writes one JSON object a line for each phase done. It is a
process of its own because Ray may end the process it runs in, and because the environment must be complete
before Ray is imported.
"""

import importlib
import json
import logging
import pickle
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from cli.environment import HeadPorts
from core.errors import LograyError
from core.settings import Settings

OBJECT_STORE_BYTES = 256 << 20  # batches go by value; only Arrow answers of searches pass here


@dataclass(frozen=True, slots=True)
class Order:
    """What to do: start a head of its own on these ports, or use the Ray cluster at `ray_address`."""

    settings: Settings
    ports: HeadPorts | None
    temporary_dir: str
    ray_address: str | None


def report(phase: str, began_s: float, **facts: Any) -> None:
    """Tell the parent that a phase is done."""
    print(json.dumps({"phase": phase, "seconds": time.monotonic() - began_s, **facts}), flush=True)


def start_head(ports: HeadPorts, temporary_dir: str) -> dict[str, Any]:
    """Start Ray's head processes; they live on when this process ends.

    What `ray start --head` does, less the Ray client server, the autoscaler and the log monitor:
    250 MB and two seconds that nobody here needs. Returns Ray's address_info.
    """
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    make: Any = RayParams  # its types say less than it takes
    parameters = make(
        node_ip_address="127.0.0.1",
        gcs_server_port=ports.gcs,
        node_manager_port=ports.node_manager,
        object_manager_port=ports.object_manager,
        dashboard_host="127.0.0.1",
        dashboard_port=ports.dashboard,
        dashboard_agent_listen_port=ports.agent_http,
        metrics_agent_port=ports.agent_grpc,
        runtime_env_agent_port=ports.runtime_env_agent,
        metrics_export_port=ports.metrics_export,
        # 0: workers let the system choose, so that two instances do not meet.
        min_worker_port=0,
        max_worker_port=0,
        include_dashboard=True,
        include_log_monitor=False,
        no_monitor=True,
        object_store_memory=OBJECT_STORE_BYTES,
        temp_dir=temporary_dir,
    )
    node = Node(parameters, head=True, shutdown_at_exit=False, spawn_reaper=False)
    return dict(node.address_info)


def main() -> None:
    """Carry out the order."""
    order: Order = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own parent
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    began_s = time.monotonic()
    import ray

    # Importing takes CPU, starting the head mostly waits: side by side.
    importing = threading.Thread(target=_import_deployments, daemon=True)
    importing.start()
    address, session_dir = order.ray_address, None
    if order.ports is not None:
        info = start_head(order.ports, order.temporary_dir)
        address, session_dir = info["gcs_address"], info["session_dir"]
    context: Any = ray.init(address=address, namespace="logray", log_to_driver=False)
    report(
        "ray",
        began_s,
        ray_address=context.address_info["gcs_address"],
        dashboard=context.dashboard_url or None,
        session_dir=session_dir,
        ports=asdict(order.ports) if order.ports else None,
    )
    importing.join()
    report("imports", began_s)
    from deployments.applications import deploy

    try:
        deploy(order.settings)
    except LograyError as error:
        sys.exit(str(error))  # the last line of the launch log, which the operator is shown
    report("deployed", began_s)
    ray.shutdown()


def _import_deployments() -> None:
    importlib.import_module("deployments.applications")


if __name__ == "__main__":
    main()

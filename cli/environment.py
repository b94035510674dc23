"""The environment of an instance's processes: every knob of Ray and Ray Serve that Logray turns."""

import os
import sys
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

from cli.instance import InstanceFiles
from cli.ports import free_block, free_ports
from cli.processes import MARKER
from core.settings import Settings
from deployments.haproxy import amended_haproxy

REPLICA_PORTS = 200  # a released one rests for minutes, so more than there are replicas
HAPROXY_THREADS_MAX = 4
MIB = 1 << 20
# Ray polls for clusters of thousands of tasks a second. Ours has two dozen actors that stay: idle, they shall
# cost little. Ray's defaults in brackets.
CALMER_RAY = {
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.5",  # (0.1)
    "RAY_gcs_pull_resource_loads_period_milliseconds": "5000",  # (1000)
    "RAY_raylet_report_resources_period_milliseconds": "500",  # (100)
    "RAY_task_events_report_interval_ms": "5000",  # (1000)
    "RAY_enable_metrics_collection": "false",  # (true) they want a Grafana; /metrics has ours
    "RAY_DASHBOARD_STATS_UPDATING_INTERVAL": "30",  # (15)
    "REPORTER_UPDATE_INTERVAL_MS": "10000",  # (2500)
}


@dataclass(frozen=True, slots=True)
class HeadPorts:
    """The ports of an instance's own Ray head, all on loopback."""

    gcs: int
    node_manager: int
    object_manager: int
    dashboard: int
    agent_http: int
    agent_grpc: int
    runtime_env_agent: int
    metrics_export: int


def choose_head_ports(settings: Settings) -> HeadPorts:
    """Free ones. Raises LaunchError."""
    return HeadPorts(*free_ports(8, _asked_for(settings)))


def _asked_for(settings: Settings) -> set[int]:
    # Nothing listens there yet: they look as free as any.
    return {settings.http.port, settings.tcp.port, settings.tls.port}


def source_root() -> Path:
    """The directory that holds the packages of the service."""
    return Path(__file__).resolve().parent.parent


def bind_address(host: str, port: int) -> str:
    """An address as HAProxy's `bind` wants it."""
    return (
        f"[{host}]:{port} v4v6" if host == "::" else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    )


def instance_environment(
    inherited: Mapping[str, str], settings: Settings, files: InstanceFiles, head: HeadPorts
) -> dict[str, str]:
    """What Ray's head, and through it every process of an instance, finds in its environment."""
    haproxy_dir = files.temporary_dir / "haproxy"
    promised = _asked_for(settings) | set(astuple(head))
    replica_port = free_block(REPLICA_PORTS + 1, promised)
    replica_ports = range(replica_port, replica_port + REPLICA_PORTS + 1)
    fallback_http, fallback_grpc = free_ports(2, promised.union(replica_ports))
    python_path = [str(source_root()), *filter(None, [inherited.get("PYTHONPATH")])]
    return {
        # Another Ray's address or an enclosing job's variables would lead our processes astray.
        **{name: value for name, value in inherited.items() if not name.startswith("RAY_")},
        MARKER: files.id,
        # Titles set by Ray's workers must not overwrite the environment that we find them by.
        "SPT_NOENV": "1",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join(python_path),
        "PYTHONUNBUFFERED": "1",
        # Arrow's allocator gives what an insert used back at once, and the kernel clears it for the next one.
        "MIMALLOC_PURGE_DELAY": "10000",  # ms
        "RAY_USAGE_STATS_ENABLED": "0",
        # Named for other systems, it makes Ray listen on loopback alone. Anybody who reaches Ray's ports
        # can run code; besides, the machine's address may change while the service runs.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        **CALMER_RAY,
        "RAY_ROTATION_MAX_BYTES": str(32 * MIB),
        "RAY_ROTATION_BACKUP_COUNT": "2",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        # Between two event loops a request, each piece of its body and its answer would change threads.
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(Path(amended_haproxy.__file__).resolve()),
        amended_haproxy.BIND_VARIABLE: bind_address(settings.http.host, settings.http.port),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy_dir / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy_dir / "admin"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy_dir),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy_dir / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy_dir / "metrics"),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(min(HAPROXY_THREADS_MAX, os.cpu_count() or 1)),
        # A datagram a request to a Python actor; /metrics has the same numbers.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_LOG_TARGET": "stdout format raw",
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "60",
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": "300",
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(replica_port),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(replica_port + REPLICA_PORTS),
        # A replica that leaves is out of HAProxy's list within a second, not half a minute.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(fallback_grpc),
        # Two proxies on one port would share it in silence.
        "SERVE_SOCKET_REUSE_PORT_ENABLED": "0",
    }

"""Two nodes on one machine, each with a network and a disk of its own: what `cluster.yaml` starts on many.

A network namespace is a node, a bridge joins them; needs root and `ip`. Ray, HAProxy and the data directory
of a node are its own; an embedded ClickHouse behind a relay stands for one that the operator runs.
"""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from benchmarks.instance import ROOT
from deployments.haproxy import amended_haproxy
from storage.clickhouse import ClickHouse
from storage.embedded.endpoint import DATABASE, embedded_url

SUBNET: Final = f"10.213.{os.getpid() % 256}"
RELAY: Final = (f"{SUBNET}.254", 18123)
HTTP_PORT, TCP_PORT, GCS_PORT = 8080, 5514, 6379
CHUNK_BYTES: Final = 1 << 16
BIN: Final = Path(sys.executable).parent


class Node:
    """One of the two; its network and its mounts live as long as a process that waits in them."""

    def __init__(self, number: int, folder: Path, environment: Mapping[str, str]) -> None:
        self.address = f"{SUBNET}.{number}"
        self._name = f"logray{os.getpid()}-{number}"
        self._environment = dict(environment)
        self._folder, self._data_dir = folder / f"node-{number}", folder / "data"
        self._folder.mkdir()
        self._link = link = f"lr{os.getpid() % 10_000}-{number}"
        run("ip", "netns", "add", self._name)
        run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self._name)
        run("ip", "link", "set", link, "master", bridge(), "up")
        mounted = f"mount --bind {self._folder} {self._data_dir} && echo mounted && exec sleep infinity"
        waiting = ["ip", "netns", "exec", self._name, "unshare", "--mount", "sh", "-c", mounted]
        self._waiting = subprocess.Popen(waiting, stdout=subprocess.PIPE)
        assert self._waiting.stdout is not None
        self._waiting.stdout.readline()
        self.call("ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            self.call("ip", "link", "set", device, "up")

    def call(self, *command: str) -> str:
        """Run a command on this node; its output. Raises CalledProcessError."""
        inside = ["nsenter", "--target", str(self._waiting.pid), "--net", "--mount", *command]
        return run(*inside, environment=self._environment)

    def start_ray(self, head: "Node | None" = None) -> None:
        """Ray's processes on this node, which join the head's."""
        joined = (
            ["--head", f"--port={GCS_PORT}"] if head is None else [f"--address={head.address}:{GCS_PORT}"]
        )
        temporary = f"--temp-dir={self._folder / 'ray'}"
        self.call(str(BIN / "ray"), "start", *joined, f"--node-ip-address={self.address}", temporary)

    def logray(self, *arguments: str) -> str:
        """The command line; raises CalledProcessError."""
        return self.call(sys.executable, "-m", "cli.main", *arguments)

    def processes(self) -> dict[int, str]:
        """What runs on this node: pid → command line."""
        found = {}
        for pid in map(int, run("ip", "netns", "pids", self._name).split()):
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                if pid != self._waiting.pid:
                    found[pid] = command
        return found

    def kill(self) -> None:
        """As when the power fails: every process at once."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Leave nothing of it."""
        self.kill()
        self._waiting.kill()
        self._waiting.wait()
        run("ip", "link", "delete", self._link)  # its last connections would keep it for minutes
        run("ip", "netns", "delete", self._name)


@contextmanager
def two_nodes() -> Iterator[tuple[list[Node], ClickHouse, str]]:
    """A service on two nodes that has started; the store, and the API key. Removes everything at the end."""
    # Ray puts sockets below it, whose paths must be short, wherever TMPDIR is.
    with tempfile.TemporaryDirectory(prefix="logray-nodes-", dir="/tmp") as directory:
        folder = Path(directory)
        (folder / "data").mkdir()
        run("ip", "link", "add", bridge(), "type", "bridge")
        nodes: list[Node] = []
        try:
            run("ip", "addr", "add", f"{RELAY[0]}/24", "dev", bridge())
            run("ip", "link", "set", bridge(), "up")
            with _store(folder / "store") as url:
                key = secrets.token_urlsafe(24)
                environment = _environment(folder / "data", url, key)
                nodes.extend(Node(number, folder, environment) for number in (1, 2))
                head, other = nodes
                head.start_ray()
                other.start_ray(head)
                head.logray("up", "--ray-address", f"{head.address}:{GCS_PORT}")
                yield nodes, ClickHouse(SecretStr(url)), key
        finally:
            for node in nodes:
                node.close()
            run("ip", "link", "delete", bridge())


def run(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Its output. Raises CalledProcessError, and prints what it said."""
    env = dict(environment) if environment else None
    done = subprocess.run(
        command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", file=sys.stderr)
    done.check_returncode()
    return done.stdout


def bridge() -> str:
    """The name of the network between the nodes."""
    return f"lrbr{os.getpid() % 10_000}"


def _environment(data_dir: Path, store_url: str, api_key: str) -> dict[str, str]:
    """As in cluster.yaml."""
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": os.environ.get("HOME", "/"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_BINARY_PATH": amended_haproxy.__file__,
        amended_haproxy.BIND_VARIABLE: f"0.0.0.0:{HTTP_PORT}",
        "LOGRAY_HTTP_HOST": "0.0.0.0",
        "LOGRAY_TCP_HOST": "0.0.0.0",
        "LOGRAY_DATA_DIR": str(data_dir),
        "LOGRAY_API_KEY": api_key,
        "LOGRAY_CLICKHOUSE_URL": store_url,
    }


@contextmanager
def _store(folder: Path) -> Iterator[str]:
    """The URL of an embedded ClickHouse, for the nodes: it listens on loopback alone."""
    folder.mkdir()
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "storage.embedded", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.readline()
        url = embedded_url(folder)
        assert url is not None
        user, _, address = url.get_secret_value().rpartition("@")
        port = int(address.partition("/")[0].rpartition(":")[2])
        loop = asyncio.new_event_loop()
        threading.Thread(target=_relay, args=(loop, port), daemon=True).start()
        try:
            yield f"{user}@{RELAY[0]}:{RELAY[1]}/{DATABASE}"
        finally:
            loop.call_soon_threadsafe(loop.stop)
            server.stdin.close()


def _relay(loop: asyncio.AbstractEventLoop, port: int) -> None:
    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            store_reader, store_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, store_writer), copy(store_reader, writer))

    asyncio.set_event_loop(loop)
    loop.run_until_complete(asyncio.start_server(connected, *RELAY))
    loop.run_forever()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))

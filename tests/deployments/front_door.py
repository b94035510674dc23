"""A real HAProxy, started by our program, and a replica behind it that answers as it is told."""

import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests

from cli.ports import free_ports
from deployments.haproxy import amended_haproxy
from deployments.haproxy.amended_haproxy import ROOM_HEADER
from tests.conditions import wait_until
from tests.deployments.test_amended_haproxy import CONFIG

ROOT = Path(__file__).parent.parent.parent
LARGE = b"x" * (amended_haproxy.LARGE_BYTES + 1)
ANSWERS_WITHIN_S = 5


@dataclass
class Replica:
    """Answers as it is told and when it may, and counts what reached it."""

    status: int = 202
    retry_after: str = ""
    room: str = ""
    requests: int = 0
    may_answer: threading.Event = field(default_factory=threading.Event)
    server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        replica = self
        self.may_answer.set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                replica.requests += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                replica.may_answer.wait(ANSWERS_WITHIN_S)
                self.send_response(replica.status)
                for name, value in (("Retry-After", replica.retry_after), (ROOM_HEADER, replica.room)):
                    if value:
                        self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.send_header("Connection", "close")  # or it would answer after its server is closed
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class FrontDoor:
    """HAProxy's processes on one port: the one that answers, and those that it took over from."""

    def __init__(self, folder: Path, replica: Replica) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}/api/v1/logs"
        self.admin_socket = folder / "admin"
        self._replica, self._file = replica, folder / "haproxy.cfg"
        self._file.write_text(CONFIG.format(folder=folder, replica=replica.server.server_port))
        self._processes: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self, *arguments: str) -> None:
        """Start a HAProxy, and wait until requests reach the replica through it."""
        program = [sys.executable, amended_haproxy.__file__, "-db", "-f", str(self._file)]
        environment = {amended_haproxy.BIND_VARIABLE: f"127.0.0.1:{self.port}", "PYTHONPATH": str(ROOT)}
        self._processes.append(subprocess.Popen([*program, *arguments], env=environment))
        wait_until(self._answers)
        self._replica.requests = 0

    def reload(self) -> None:
        """As Ray Serve does: a new process takes over the sockets, the old one finishes and ends."""
        former = self._processes[-1]
        self.start("-sf", str(former.pid), "-x", str(self.admin_socket))
        former.wait(10)

    def kill(self) -> None:
        """As a crash would."""
        self._processes[-1].kill()
        self._processes[-1].wait()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def post(self, body: bytes = b"small") -> requests.Response:
        return requests.post(self.url, data=body, timeout=ANSWERS_WITHIN_S)

    def _answers(self) -> bool:
        try:
            return self.post().status_code == self._replica.status
        except requests.ConnectionError:
            return False

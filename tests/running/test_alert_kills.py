"""kill -9 of the whole service while a rule is quiet, telling, alerting and recovered: told once."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from benchmarks.instance import Instance, logray, running_instance
from cli.ports import free_ports
from cli.processes import processes_of, send
from tests.running.client import Client, wait_until

WINDOW_S = 60  # longer than a start, so that the gap in the logs does not look like the end


class Receiver:
    """A webhook receiver on loopback: refuses with 500 while `refusing`, else keeps what it accepted."""

    def __init__(self) -> None:
        self.refusing = False
        self.refused = 0
        self.accepted: list[tuple[str, dict[str, Any]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if receiver.refusing:
                    receiver.refused += 1
                    self.send_error(500)
                    return
                receiver.accepted.append((self.headers["Idempotency-Key"], orjson.loads(body)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def events(self) -> list[str]:
        """What was accepted, in order."""
        return [notice["event"] for _, notice in self.accepted]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    started = Receiver()
    yield started
    started.close()


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    http, tcp = free_ports(2)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOGRAY_")}
    with tempfile.TemporaryDirectory(prefix="logray-alerts-") as directory:
        own = inherited | {
            "LOGRAY_DATA_DIR": directory,
            "LOGRAY_HTTP_PORT": str(http),
            "LOGRAY_TCP_PORT": str(tcp),
            "LOGRAY_ALERTS_ALLOW_PRIVATE_WEBHOOKS": "true",
        }
        logray("up", own)
        yield own
        logray("down", own)


def test_a_service_that_is_killed_in_every_state_tells_of_each_change_once(
    environment: dict[str, str], receiver: Receiver
) -> None:
    instance = running_instance(Path(environment["LOGRAY_DATA_DIR"]), environment)
    client = Client(instance.url, instance.api_key)
    marker = client.marker()
    rule = make_rule(instance, marker, receiver.url)
    kill_and_start(instance, environment)  # quiet

    receiver.refusing = True
    ends_s = keep_matching(client, marker)
    wait_until(lambda: receiver.refused > 0 or None, "the first attempt to tell", 60)
    kill_and_start(instance, environment)  # alerting, and its notice was refused
    receiver.refusing = False
    wait_until(lambda: "firing" in receiver.events or None, "the notice of before the kill", 90)
    kill_and_start(instance, environment)  # alerting, told
    assert state(instance, rule) == "alerting"

    ends_s.set()
    wait_until(lambda: "resolved" in receiver.events or None, "that it is over", WINDOW_S + 60)
    kill_and_start(instance, environment)  # recovered, told
    wait_until(lambda: state(instance, rule) == "ok" or None, "an evaluation after the start", 60)

    # A notice whose answer died with the notifier comes again, with the same key: a receiver drops it.
    told = {key: notice["event"] for key, notice in receiver.accepted}
    assert list(told.values()) == ["firing", "resolved"]
    fired = receiver.accepted[0][1]
    assert fired["rule"]["id"] == rule
    assert fired["value"] >= 1


def make_rule(instance: Instance, marker: str, url: str) -> str:
    body = {
        "name": "kills",
        "query": marker,
        "condition": {"type": "count", "operator": ">", "threshold": 0, "window": f"{WINDOW_S}s"},
        "interval": "1s",
        "notifications": [{"type": "webhook", "url": url}],
    }
    made = requests.post(f"{instance.url}/api/v1/alerts", json=body, timeout=30)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def state(instance: Instance, rule: str) -> str:
    return str(requests.get(f"{instance.url}/api/v1/alerts/{rule}", timeout=30).json()["state"])


def kill_and_start(instance: Instance, environment: dict[str, str]) -> None:
    send(processes_of(instance.instance_id), signal.SIGKILL)
    logray("up", environment)


def keep_matching(client: Client, marker: str) -> threading.Event:
    """Send a matching log again and again, whoever is alive, until the event is set."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.5):
            try:
                client.ingest([{"timestamp": time.time_ns(), "message": marker}])
            except requests.RequestException:
                continue  # the service was just killed

    threading.Thread(target=work, daemon=True).start()
    return ended

"""kill -9 of the whole service while rules are in every state there is: told once, nothing forgotten."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
import requests

from alerts.clickhouse_http import ClickHouseHttp
from alerts.journal import Journal
from alerts.rule import SECOND_NS
from alerts.schedule import phase_of
from benchmarks.instance import Instance, logray, running_instance
from cli.ports import free_ports
from cli.processes import processes_of, send
from query.iso import iso
from storage.embedded.endpoint import embedded_url
from tests.running.client import Client, wait_until

CONSECUTIVE = 20  # windows of a second: some before the first kill, some after it
WINDOW_S = 50  # longer than a start, so that the gap in the logs does not look like the end


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

    def events(self, rule: str) -> list[str]:
        """What was accepted of a rule, in order."""
        return [notice["event"] for _, notice in self.accepted if notice["rule"]["name"] == rule]

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
    marker, other = client.marker(), client.marker()
    rule = make_rule(instance, "moving", marker, receiver.url)
    beside = Beside(instance, other, receiver)
    beside.reach_their_states(client)
    kill_and_start(instance, environment, receiver)  # quiet; and the others muted, acknowledged, waiting, …
    beside.are_as_before()

    receiver.refusing = True
    ends_s = keep_matching(client, marker)
    wait_until(lambda: receiver.refused > 0 or None, "the first attempt to tell", 60)
    kill_and_start(instance, environment)  # alerting, and its notice was refused
    receiver.refusing = False
    wait_until(lambda: "firing" in receiver.events("moving") or None, "the notice of before the kill", 90)

    rename(instance, environment, "logs", "away")
    wait_until(lambda: "error" in receiver.events("failing") or None, "the error", 60)
    kill_and_start(instance, environment, receiver)  # alerting and told, and its query fails
    assert {state(instance, each) for each in (rule, *beside.rules.values())} == {"error"}
    rename(instance, environment, "away", "logs")
    wait_until(lambda: state(instance, rule) == "alerting" or None, "the state of before the error", 60)
    beside.are_as_before()

    ends_s.set()
    wait_until(lambda: "resolved" in receiver.events("moving") or None, "that it is over", WINDOW_S + 60)
    kill_and_start(instance, environment, receiver)  # recovered, told
    wait_until(lambda: state(instance, rule) == "ok" or None, "an evaluation after the start", 60)
    assert receiver.events("moving") == ["firing", "resolved"]
    beside.have_told_once()
    keys = [key for key, _ in receiver.accepted]
    assert keys == [notice["id"] for _, notice in receiver.accepted]
    assert len(set(keys)) == len(keys), "a notice came twice"


class Beside:
    """A rule in each of the other states, which the kills hit there."""

    def __init__(self, instance: Instance, marker: str, receiver: Receiver) -> None:
        self.instance, self.marker, self.receiver = instance, marker, receiver
        steps = [
            {"delay": delay, "targets": [{"type": "webhook", "url": receiver.url}]}
            for delay in ("15s", "40s")
        ]
        policy = ask(instance, "POST", "/escalation-policies", {"name": "On call", "steps": steps})["id"]
        always = {"condition": {"threshold": 0, "window": "1h"}, "error_after": 1000}
        fields: dict[str, dict[str, Any]] = {
            "muted": always,
            "acknowledged": {**always, "repeat": "20s"},
            "waiting": {**always, "escalation_policy": policy},
            "counting": {**always, "consecutive": CONSECUTIVE},
            "absent": {"query": "service:absent", "no_data": {"after": 2}, "error_after": 1000},
            "failing": {"query": "service:absent", "error_after": 3},
        }
        self.rules = {
            name: make_rule(instance, name, marker, receiver.url, **each) for name, each in fields.items()
        }

    def reach_their_states(self, client: Client) -> None:
        for rule in self.rules.values():
            self.wait_for_an_evaluation(rule)
        ask(
            self.instance,
            "POST",
            f"/{self.rules['muted']}/mute",
            {"duration": "40s", "reason": "moving house"},
        )
        client.ingest([{"timestamp": time.time_ns(), "message": self.marker}])
        for name in ("acknowledged", "waiting", "muted"):
            self.wait_for_state(name, lambda state: state == "alerting")
        self.wait_for_state("absent", lambda state: state == "no_data")
        body = {"user": "ann", "note": "on it", "until": "1h"}
        ask(self.instance, "POST", f"/{self.rules['acknowledged']}/acknowledge", body)
        self.acknowledged = shown(self.instance, self.rules["acknowledged"])["acknowledged"]
        self.muted = shown(self.instance, self.rules["muted"])["muted"]
        assert (self.acknowledged["user"], self.muted["reason"]) == ("ann", "moving house")

    def wait_for_an_evaluation(self, rule: str) -> None:
        wait_until(lambda: shown(self.instance, rule)["last_evaluated"], "its start", 60)

    def wait_for_state(self, name: str, wanted: Callable[[str], bool]) -> None:
        wait_until(lambda: wanted(self.state(name)) or None, f"the state of {name}", 60)

    def state(self, name: str) -> str:
        return state(self.instance, self.rules[name])

    def are_as_before(self) -> None:
        assert shown(self.instance, self.rules["acknowledged"])["acknowledged"] == self.acknowledged
        if "firing" not in self.receiver.events("muted"):
            assert shown(self.instance, self.rules["muted"])["muted"] == self.muted
        for name in self.rules:
            self.wait_for_state(name, lambda state: state != "error")
        for name in ("muted", "acknowledged", "waiting"):
            assert self.state(name) == "alerting"
        assert self.state("absent") == "no_data"

    def have_told_once(self) -> None:
        events = self.receiver.events
        wait_until(lambda: events("waiting").count("escalation") == 2 or None, "the escalation", 60)
        assert {name: events(name) for name in self.rules} == {
            "muted": ["firing"],
            "acknowledged": ["firing"],
            "waiting": ["firing", "escalation", "escalation"],
            "counting": ["firing"],
            "absent": ["no_data"],
            "failing": ["error", "error_resolved"],
        }
        told = {notice["rule"]["name"]: notice for _, notice in self.receiver.accepted}
        assert told["muted"]["at"] >= self.muted["until"]  # it ended by itself
        # As many windows as ever, of which some were before the first kill and some after it.
        [log] = Client(self.instance.url, self.instance.api_key).search(self.marker)["logs"]
        ingested_ns = int(datetime.fromisoformat(log["_ingested_at"]).timestamp() * 1e6) * 1000
        phase_ns = phase_of(self.rules["counting"], SECOND_NS)
        first_ns = (ingested_ns - phase_ns) // SECOND_NS * SECOND_NS + SECOND_NS + phase_ns
        assert told["counting"]["since"] == iso(first_ns + (CONSECUTIVE - 1) * SECOND_NS)


def make_rule(instance: Instance, name: str, marker: str, url: str, **fields: Any) -> str:
    body = {
        "name": name,
        "query": marker,
        "condition": {"type": "count", "operator": ">", "threshold": 0, "window": f"{WINDOW_S}s"},
        "interval": "1s",
        "error_after": 1000,
        "notifications": [{"type": "webhook", "url": url}],
        **fields,
    }
    return str(ask(instance, "POST", "", body)["id"])


def ask(instance: Instance, method: str, path: str, body: Any = None) -> Any:
    answer = requests.request(method, f"{instance.url}/api/v1/alerts{path}", json=body, timeout=30)
    assert answer.status_code < 300, answer.text
    return answer.json()


def shown(instance: Instance, rule: str) -> Any:
    return ask(instance, "GET", f"/{rule}")


def state(instance: Instance, rule: str) -> str:
    return str(shown(instance, rule)["state"])


def kill_and_start(
    instance: Instance, environment: dict[str, str], all_told_to: Receiver | None = None
) -> None:
    """kill -9 of everything. With a receiver: as soon as what it was told is written down, since a notice
    whose answer dies with the notifier comes again, with the same key.
    """
    if all_told_to is not None:
        url = embedded_url(instance.data_dir)
        assert url is not None
        store = ClickHouseHttp(url.get_secret_value())
        wait_until(lambda: Journal(store).pending_notices(0) == [] or None, "that all is told", 60)
        store.close()
    send(processes_of(instance.instance_id), signal.SIGKILL)
    logray("up", environment)


def rename(instance: Instance, environment: dict[str, str], table: str, name: str) -> None:
    store = running_instance(instance.data_dir, environment).store
    store.command(f"RENAME TABLE {table} TO {name}")
    store.close()


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

"""The alert supervisor in a small Ray, its store, and what tests do to its actors."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import ray
from pydantic import SecretStr

from actors.alert_supervisor import start_alert_supervisor
from actors.placement import ALERT_SUPERVISOR, NAMESPACE, NOTIFIER, alert_rule_name
from alerts.clickhouse_http import ClickHouseHttp
from alerts.commands import Command
from alerts.definitions import Definition, Definitions
from alerts.journal import Journal
from alerts.request import PolicyBody, RuleBody
from alerts.rule import SECOND_NS
from alerts.validation import validate
from core.settings import AlertSettings
from storage.clickhouse import ClickHouse
from tests.alerts.making import put_logs
from tests.alerts.receivers import HttpReceiver, SmtpReceiver

SETTINGS = AlertSettings(allow_private_webhooks=True, watch_interval_s=1)


class Service:
    """The alert supervisor's actor and what a test asks of the store beside it."""

    def __init__(
        self, clickhouse: ClickHouse, store: ClickHouseHttp, url: SecretStr, mailbox: SmtpReceiver
    ) -> None:
        self.clickhouse, self.store, self.url = clickhouse, store, url
        self.journal, self.definitions = Journal(store), Definitions(store)
        mail = {"smtp_host": "127.0.0.1", "smtp_port": mailbox.port, "smtp_security": "none"}
        mail["smtp_from"] = "logray@example.org"
        self.supervisor = start_alert_supervisor(SETTINGS.model_copy(update=mail), url)

    async def define(self, receiver: HttpReceiver, number: int, **fields: Any) -> str:
        body = {
            "name": f"Rule {number}",
            "query": "level:error",
            "condition": {"threshold": 2, "window": "2s"},
            "interval": "1s",
            "delay": "0s",
            "notifications": [{"type": "webhook", "url": receiver.url}],
            **fields,
        }
        id_ = f"alert-{number:016x}"
        await self.put(id_, body)
        return id_

    async def put(self, id_: str, body: dict[str, Any], *, deleted: bool = False) -> None:
        now_ns = time.time_ns()
        kept = validate(RuleBody, body).model_dump(mode="json")
        self.definitions.put(Definition("rule", id_, now_ns, now_ns, kept, deleted))
        await self.supervisor.changed.remote()

    def define_policy(self, id_: str, *steps: tuple[str, str]) -> None:
        """An escalation policy of delays and URLs."""
        now_ns = time.time_ns()
        told = [{"delay": delay, "targets": [{"type": "webhook", "url": url}]} for delay, url in steps]
        kept = validate(PolicyBody, {"name": "On call", "steps": told}).model_dump(mode="json")
        self.definitions.put(Definition("policy", id_, now_ns, now_ns, kept))

    async def command(self, id_: str, kind: Any, **fields: Any) -> None:
        """As the API does: durable first, then carried out, before this returns."""
        groups = await asyncio.to_thread(lambda: self.journal.state(id_).groups)
        episodes = tuple((name, group.episode) for name, group in groups.items())
        command = Command(time.time_ns(), kind, episodes=episodes, **fields)
        self.journal.write([self.journal.command_row(id_, command)])
        assert await self.supervisor.poke.remote(id_)

    def errors(self, count: int = 3, **fields: Any) -> int:
        """Put logs in; returns when they were ingested."""
        # They are ingested in a moment: an insert may take long here, and the rules have no delay.
        now_ns = time.time_ns() + 2 * SECOND_NS
        put_logs(self.clickhouse, [{"at_ns": now_ns + i, **fields} for i in range(count)])
        return now_ns

    async def all_told(self) -> None:
        await until(lambda: self.journal.pending_notices(0) == [])

    async def status(self, id_: str, wanted: str) -> None:
        await until(lambda: self.journal.state(id_).status == wanted)

    def end(self) -> None:
        for name in [ALERT_SUPERVISOR, NOTIFIER, *rule_actors()]:
            with_name = next((n for n in names() if n == name), None)
            if with_name:
                ray.kill(ray.get_actor(name, NAMESPACE), no_restart=True)


def names() -> list[str]:
    return [each["name"] for each in ray.util.list_named_actors(all_namespaces=True)]


def rule_actors() -> list[str]:
    return [name for name in names() if name.startswith("alert-rule-")]


async def until(holds: Callable[[], bool], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        for _ in range(100_000):
            if await asyncio.to_thread(holds):
                return
            await asyncio.sleep(0.05)


async def process_of(name: str) -> int:
    """The process of an actor, as soon as it answers."""
    async with asyncio.timeout(30):
        for _ in range(1000):
            try:
                said = await ray.get_actor(name, NAMESPACE).observe.remote()
                return int(said["pid"])
            except (ray.exceptions.RayError, ValueError):
                await asyncio.sleep(0.05)
    raise AssertionError(f"{name} does not answer")


async def evaluated(id_: str, until_ns: int) -> None:
    """Wait until the rule has looked at all windows up to that moment."""
    async with asyncio.timeout(30):
        for _ in range(1000):
            said = await ray.get_actor(alert_rule_name(id_), NAMESPACE).observe.remote()
            if said["evaluated_until_ns"] >= until_ns:
                return
            await asyncio.sleep(0.05)


async def kill(name: str) -> None:
    """kill -9, and wait until another process has its place."""
    old = await process_of(name)
    os.kill(old, signal.SIGKILL)
    async with asyncio.timeout(30):
        for _ in range(1000):
            if await process_of(name) != old:
                return
            await asyncio.sleep(0.05)


def events(receiver: HttpReceiver) -> list[str]:
    """The notices by their keys, each once, in the order in which they came."""
    return [
        got.json["event"]
        for got in {got.headers["Idempotency-Key"]: got for got in receiver.received}.values()
    ]

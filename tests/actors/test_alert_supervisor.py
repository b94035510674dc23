"""Alerting as a whole in a small Ray: rules become actors, and killing any loses and doubles nothing."""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from pydantic import SecretStr

from actors.alert_supervisor import start_alert_supervisor
from actors.placement import ALERT_SUPERVISOR, NAMESPACE, NOTIFIER, alert_rule_name
from alerts.clickhouse_http import ClickHouseHttp
from alerts.commands import Command
from alerts.definitions import Definition, Definitions
from alerts.journal import Journal
from alerts.request import RuleBody, validate
from alerts.rule import SECOND_NS
from core.settings import AlertSettings
from storage.clickhouse import ClickHouse
from tests.alerts.making import put_logs
from tests.alerts.receivers import HttpReceiver

SETTINGS = AlertSettings(allow_private_webhooks=True, watch_interval_s=1)
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A Ray of our own with two CPUs; its workers find the packages of this tree."""
    with tempfile.TemporaryDirectory(prefix="logray-ray-", ignore_cleanup_errors=True) as directory:
        os.environ["PYTHONPATH"] = str(ROOT)
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            namespace=NAMESPACE,
            object_store_memory=80 << 20,
            _temp_dir=directory,
        )
        yield
        ray.shutdown()


class Service:
    """The alert supervisor's actor and what a test asks of the store beside it."""

    def __init__(self, clickhouse: ClickHouse, store: ClickHouseHttp, url: SecretStr) -> None:
        self.clickhouse, self.store, self.url = clickhouse, store, url
        self.journal, self.definitions = Journal(store), Definitions(store)
        self.supervisor = start_alert_supervisor(SETTINGS, url)
        self._made = 0

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

    def errors(self, count: int = 3, **fields: Any) -> None:
        # They are ingested in a moment: an insert may take long here, and the rules have no delay.
        now_ns = time.time_ns() + 2 * SECOND_NS
        put_logs(self.clickhouse, [{"at_ns": now_ns + i, **fields} for i in range(count)])

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


async def kill(name: str) -> None:
    """kill -9, and wait until another process has its place."""
    old = await process_of(name)
    os.kill(old, signal.SIGKILL)
    async with asyncio.timeout(30):
        for _ in range(1000):
            if await process_of(name) != old:
                return
            await asyncio.sleep(0.05)


@pytest.fixture
def service(
    local_ray: None, clickhouse: ClickHouse, alert_store: ClickHouseHttp, clickhouse_url: SecretStr
) -> Iterator[Service]:
    service = Service(clickhouse, alert_store, clickhouse_url)
    yield service
    service.end()


def events(receiver: HttpReceiver) -> list[str]:
    """The notices by their keys, each once, in the order in which they came."""
    return [
        got.json["event"]
        for got in {got.headers["Idempotency-Key"]: got for got in receiver.received}.values()
    ]


async def test_a_rule_is_an_actor_that_is_named_after_it_tells_of_real_logs_and_goes_with_the_rule(
    service: Service, receiver: HttpReceiver
) -> None:
    id_ = await service.define(receiver, 1)
    assert rule_actors() == [alert_rule_name(id_)]
    await service.status(id_, "ok")
    service.errors(message="disk is full")
    [got] = await receiver.wait_for(1)
    assert (got.json["event"], got.json["value"]) == ("firing", 3)
    assert got.json["sample_logs"][0]["message"] == "disk is full"
    await receiver.wait_for(2)
    assert events(receiver) == ["firing", "resolved"]
    body = dict(service.definitions.all("rule")[0].body)
    await service.put(id_, {**body, "name": "Other"})
    service.errors()
    await receiver.wait_for(3)
    assert receiver.received[2].json["rule"]["name"] == "Other"
    await service.put(id_, body, deleted=True)
    await until(lambda: rule_actors() == [])
    await receiver.wait_for(4)  # what was open is closed
    assert events(receiver)[-1] == "resolved"


async def test_killing_the_rules_actor_and_the_notifier_in_any_state_loses_and_doubles_nothing(
    service: Service, receiver: HttpReceiver
) -> None:
    id_ = await service.define(receiver, 2, condition={"threshold": 2, "window": "6s"})
    name = alert_rule_name(id_)
    await service.status(id_, "ok")
    await kill(name)
    receiver.always = 500
    service.errors()
    await receiver.wait_for(1)
    await kill(name)  # alerting, its notice is being tried again
    await kill(NOTIFIER)
    receiver.always = 200
    await until(lambda: service.journal.pending_notices(0) == [])
    await service.status(id_, "ok")
    await kill(name)
    await until(lambda: len(receiver.received) >= 2 and events(receiver)[-1] == "resolved")
    service.errors()
    await service.status(id_, "alerting")
    command = Command(time.time_ns(), "acknowledge", "ann", "", None, ((
        "", service.journal.state(id_).groups[""].episode),))  # fmt: skip
    service.journal.write([service.journal.command_row(id_, command)])
    assert await service.supervisor.poke.remote(id_)
    await kill(name)
    state = await asyncio.to_thread(service.journal.state, id_)
    assert state.groups[""].acknowledged is not None
    await until(lambda: events(receiver).count("resolved") == 2)
    await until(lambda: service.journal.pending_notices(0) == [])
    assert events(receiver) == ["firing", "resolved", "firing", "resolved"]
    keys = [got.headers["Idempotency-Key"] for got in receiver.received]
    answered = keys[next(i for i, got in enumerate(receiver.received) if got.json["event"] == "resolved") :]
    assert len(answered) == len(set(answered)), "what was answered with 200 came twice"


async def test_the_supervisor_comes_back_and_its_rules_have_gone_on(
    service: Service, receiver: HttpReceiver
) -> None:
    id_ = await service.define(receiver, 3)
    await service.status(id_, "ok")
    rule_pid = await process_of(alert_rule_name(id_))
    await kill(ALERT_SUPERVISOR)
    service.errors()
    await receiver.wait_for(2)
    assert await process_of(alert_rule_name(id_)) == rule_pid


async def test_an_actor_that_hangs_is_replaced_and_its_neighbour_does_not_notice(
    service: Service, receiver: HttpReceiver
) -> None:
    hanging, other = (
        await service.define(receiver, 4),
        await service.define(receiver, 5, query="service:other"),
    )
    await service.status(hanging, "ok")
    await service.status(other, "ok")
    pid = await process_of(alert_rule_name(hanging))
    os.kill(pid, signal.SIGSTOP)
    service.errors(service="other")
    got = await receiver.wait_for(1)
    assert got[0].json["rule"]["name"] == "Rule 5"
    await until(lambda: not Path(f"/proc/{pid}").exists(), within_s=90)
    await process_of(alert_rule_name(hanging))

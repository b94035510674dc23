"""Alerting as a whole in a small Ray: rules become actors, and killing any loses and doubles nothing."""

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors.placement import ALERT_SUPERVISOR, NOTIFIER, alert_rule_name
from alerts.clickhouse_http import ClickHouseHttp
from alerts.rule import SECOND_NS
from alerts.schedule import phase_of
from alerts.state import RuleState
from storage.clickhouse import ClickHouse
from tests.actors.alert_service import Service, evaluated, events, kill, process_of, rule_actors, until
from tests.alerts.receivers import HttpReceiver, SmtpReceiver


@pytest.fixture
def mailbox() -> Iterator[SmtpReceiver]:
    server = SmtpReceiver().start()
    yield server
    server.stop()


@pytest.fixture
def service(
    local_ray: None,
    clickhouse: ClickHouse,
    alert_store: ClickHouseHttp,
    clickhouse_url: SecretStr,
    mailbox: SmtpReceiver,
) -> Iterator[Service]:
    service = Service(clickhouse, alert_store, clickhouse_url, mailbox)
    yield service
    service.end()


async def test_a_rule_is_an_actor_that_is_named_after_it_tells_of_real_logs_and_goes_with_the_rule(
    service: Service, receiver: HttpReceiver, mailbox: SmtpReceiver
) -> None:
    webhook, email = {"type": "webhook", "url": receiver.url}, {"type": "email", "to": "ann@example.org"}
    id_ = await service.define(receiver, 1, notifications=[webhook, email])
    mailbox.answers.append("451 not now")
    assert rule_actors() == [alert_rule_name(id_)]
    await service.status(id_, "ok")
    service.errors(message="disk is full")
    [got] = await receiver.wait_for(1)
    assert (got.json["event"], got.json["value"]) == ("firing", 3)
    assert got.json["sample_logs"][0]["message"] == "disk is full"
    await receiver.wait_for(2)
    assert events(receiver) == ["firing", "resolved"]
    await until(lambda: len(mailbox.mails) == 2)
    subjects = [message_from_bytes(mail, policy=default)["Subject"] for mail in mailbox.mails]
    assert ["alerting" in subject for subject in subjects] == [True, False], subjects
    assert b"disk is full" in mailbox.mails[0]
    body = dict(service.definitions.all("rule")[0].body)
    await service.put(id_, {**body, "name": "Other"})
    service.errors()
    await receiver.wait_for(3)
    assert receiver.received[2].json["rule"]["name"] == "Other"
    await service.put(id_, body, deleted=True)
    await until(lambda: rule_actors() == [])
    await receiver.wait_for(4)  # what was open is closed
    assert events(receiver)[-1] == "resolved"


async def test_killing_the_rules_actor_and_the_notifier_while_it_is_quiet_telling_and_recovered(
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
    await service.all_told()
    await service.status(id_, "ok")
    await kill(name)
    await until(lambda: len(receiver.received) >= 2 and events(receiver)[-1] == "resolved")
    await service.all_told()
    assert events(receiver) == ["firing", "resolved"]
    keys = [got.headers["Idempotency-Key"] for got in receiver.received]
    answered = keys[next(i for i, got in enumerate(receiver.received) if got.json["event"] == "resolved") :]
    assert len(answered) == len(set(answered)), "what was answered with 200 came twice"


async def test_killing_all_of_them_at_once_in_every_state_loses_and_doubles_nothing(
    service: Service, receiver: HttpReceiver
) -> None:
    until_ns = time.time_ns() + 3600 * SECOND_NS
    service.define_policy("policy-1", ("12s", receiver.url + "/boss"))
    minute = {"condition": {"threshold": 2, "window": "60s"}}
    muted = await service.define(receiver, 11, **minute)
    taken = await service.define(receiver, 12, **minute, repeat="5s")
    absent = await service.define(receiver, 13, query="service:absent", no_data={"after": 2})
    waiting = await service.define(receiver, 14, **minute, escalation_policy="policy-1")
    counting = await service.define(receiver, 15, **minute, consecutive=6)
    rules = [muted, taken, absent, waiting, counting]

    def states() -> dict[str, RuleState]:
        return service.journal.states(rules)

    for rule in rules:
        await process_of(alert_rule_name(rule))
    await service.command(muted, "mute", user="bob", text="moving", until_ns=until_ns)
    ingested_ns = service.errors()
    for rule in (muted, taken, waiting):
        await service.status(rule, "alerting")
    await service.status(absent, "no_data")
    await service.command(taken, "acknowledge", user="ann", text="on it", until_ns=until_ns)

    await service.all_told()
    await kill_all(rules)
    await service.status(counting, "alerting")
    # It took as many windows as it always takes, of which some were before the kill and some after it.
    phase_ns = phase_of(counting, SECOND_NS)
    first_ns = (ingested_ns + 3 - phase_ns) // SECOND_NS * SECOND_NS + SECOND_NS + phase_ns
    assert service.journal.state(counting).groups[""].episode == first_ns + 5 * SECOND_NS

    service.clickhouse.command("RENAME TABLE logs TO away")
    await until(lambda: all(each.error_notices or each.error_owed for each in states().values()))
    await service.all_told()
    await kill_all(rules)
    assert {each.status for each in states().values()} == {"error"}
    service.clickhouse.command("RENAME TABLE away TO logs")
    await until(lambda: not any(each.error_episode for each in states().values()))

    left = states()
    assert (left[muted].muted_until_ns, left[muted].mute_reason) == (until_ns, "moving")
    acknowledged = left[taken].groups[""].acknowledged
    assert acknowledged is not None
    assert (acknowledged.user, acknowledged.note, acknowledged.until_ns) == ("ann", "on it", until_ns)
    status = {rule: each.status for rule, each in left.items()}
    assert status == {**dict.fromkeys(rules, "alerting"), absent: "no_data"}
    await until(lambda: any(got.path == "/boss" for got in receiver.received))
    await service.command(muted, "unmute")
    await service.all_told()
    came = [(got.json["rule"]["id"], got.json["event"]) for got in receiver.received]
    error = ["error", "error_resolved"]
    expected = {
        muted: ["firing"],  # an error in a mute is not told, nor is its end
        taken: ["firing", *error],
        absent: ["no_data", *error],
        waiting: ["firing", *error, "escalation"],
        counting: ["firing", *error],
    }
    assert sorted(came) == sorted((rule, event) for rule in rules for event in expected[rule])


async def kill_all(rules: list[str]) -> None:
    await asyncio.gather(*(kill(name) for name in [NOTIFIER, *map(alert_rule_name, rules)]))


async def test_an_escalation_tells_one_after_the_other_until_somebody_acknowledges(
    service: Service, receiver: HttpReceiver, team: HttpReceiver, boss: HttpReceiver
) -> None:
    service.define_policy("policy-1", ("1s", team.url), ("3s", boss.url))
    minute = {"condition": {"threshold": 2, "window": "60s"}}
    id_ = await service.define(receiver, 6, **minute, escalation_policy="policy-1")
    await service.status(id_, "ok")
    service.errors(message="disk is full")
    [firing] = await receiver.wait_for(1)
    [escalated] = await team.wait_for(1)
    assert (firing.json["event"], escalated.json["event"]) == ("firing", "escalation")
    assert escalated.json["detail"] == {"policy": "On call", "step": 1, "round": 1}
    assert escalated.json["sample_logs"][0]["message"] == "disk is full"
    await service.command(id_, "acknowledge", user="ann")
    due_ns = service.journal.state(id_).groups[""].escalation_due_ns
    assert due_ns is not None

    await evaluated(id_, due_ns + SECOND_NS)
    await service.all_told()
    assert boss.received == []
    await service.command(id_, "unacknowledge", user="ann")
    [last] = await boss.wait_for(1)
    assert (last.json["event"], last.json["detail"]["step"]) == ("escalation", 2)
    # To disable a rule closes what is open, at all who were told.
    await service.put(id_, {**service.definitions.all("rule")[0].body, "enabled": False})
    for each, count in ((receiver, 2), (team, 2), (boss, 2)):
        assert (await each.wait_for(count))[-1].json["event"] == "resolved"


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

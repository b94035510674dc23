"""A rule on real logs and a moved clock: what it writes, and what a restart at any point makes of it."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from alerts.clickhouse_http import ClickHouseHttp
from alerts.commands import Command
from alerts.journal import Journal
from alerts.machine import Entry
from alerts.maintenance import MaintenanceWindow
from alerts.order import RuleOrder
from alerts.rule import SECOND_NS, Rule
from alerts.runner import SUMMARY_INTERVAL_NS, Runner
from alerts.schedule import MADE_UP_MAX, SteadyClock
from alerts.state import RuleState
from core.errors import StorageUnavailable
from storage.clickhouse import ClickHouse
from tests.alerts.making import BEGIN_NS, MovedClock, make_order, make_rule, put_logs

RULE = make_rule(threshold=2)


class Rig:
    """One rule, its journal, and a clock to move; `restart` forgets everything that is not in the journal."""

    def __init__(self, clickhouse: ClickHouse, store: ClickHouseHttp, rule: Rule = RULE) -> None:
        self.clickhouse, self.store = clickhouse, store
        self.clock = MovedClock()
        self.journal = Journal(store)
        self.order = make_order(rule)
        self.runner = self.restart()

    def restart(self, order: RuleOrder | None = None) -> Runner:
        self.order = order or self.order
        self.runner = Runner(self.order, self.store, SteadyClock(self.clock))
        return self.runner

    def errors(self, count: int = 3, **fields: Any) -> None:
        put_logs(self.clickhouse, [{"at_ns": self.clock.at_ns + i, **fields} for i in range(count)])

    def run(self, seconds: float = 10, *, look_for_commands: bool = False) -> None:
        self.clock.at_ns += int(seconds * SECOND_NS)
        self.runner.run_due(look_for_commands=look_for_commands)

    def notices(self) -> list[str]:
        return [line.body["content"]["event"] for line in self.journal.pending_notices(0)]

    def events(self) -> list[str]:
        lines = reversed(self.journal.history(self.order.rule.id, None, 1000))
        return [line.body["event"] for line in lines if line.kind == "history"]

    def command(self, kind: Any, **fields: Any) -> None:
        self.clock.at_ns += 1
        command = Command(self.clock.at_ns, kind, **fields)
        self.journal.write([self.journal.command_row(self.order.rule.id, command)])


@pytest.fixture
def rig(clickhouse: ClickHouse, alert_store: ClickHouseHttp) -> Rig:
    return Rig(clickhouse, alert_store)


def test_logs_make_it_fire_with_the_lines_that_caused_it_and_their_absence_resolves_it(rig: Rig) -> None:
    rig.run(0)
    rig.errors(message="disk is full", host="web-1")
    rig.run()
    rig.run(60)
    firing, resolved = rig.journal.pending_notices(0)
    content = firing.body["content"]
    assert (content["event"], content["value"], content["threshold"]) == ("firing", 3, 2)
    assert [(log["message"], log["host"]) for log in content["sample_logs"]] == [
        ("disk is full", "web-1")
    ] * 3
    assert resolved.body["content"]["event"] == "resolved"
    assert rig.events() == ["transition", "transition"]


def test_a_restart_after_each_window_changes_nothing(rig: Rig) -> None:
    for second in range(0, 120, 10):
        if second == 20:
            rig.errors()
        rig.run()
        rig.restart()
    assert rig.notices() == ["firing", "resolved"]
    assert rig.events() == ["transition", "transition"]


def test_counters_of_consecutive_windows_survive_a_restart(
    clickhouse: ClickHouse, alert_store: ClickHouseHttp
) -> None:
    rig = Rig(clickhouse, alert_store, replace(RULE, fire_after=3))
    rig.run(0)
    rig.errors()
    for _ in range(2):
        rig.run()
        rig.restart()
    assert rig.notices() == []
    rig.run()
    assert rig.notices() == ["firing"]


def test_windows_missed_while_down_are_made_up(rig: Rig) -> None:
    rig.run(0)
    rig.errors()
    rig.clock.at_ns += 300 * SECOND_NS
    rig.restart()
    rig.run(0)
    assert rig.notices() == ["firing", "resolved"]
    assert rig.runner.state is not None
    assert rig.runner.state.evaluated_until_ns == rig.clock.at_ns
    assert "skipped" not in rig.events()


def test_windows_that_are_too_old_are_recorded_as_skipped(rig: Rig) -> None:
    rig.run(0)
    rig.clock.at_ns += (MADE_UP_MAX + 50) * RULE.interval_ns
    rig.restart()
    rig.run(0)
    [line] = [line for line in rig.journal.history(RULE.id, None, 100) if line.body["event"] == "skipped"]
    assert line.body["windows"] == 50
    assert (line.body["from_ns"], line.body["until_ns"]) == (BEGIN_NS, BEGIN_NS + 50 * RULE.interval_ns)


def test_late_logs_are_counted_once_by_the_time_of_their_ingestion(
    clickhouse: ClickHouse, alert_store: ClickHouseHttp
) -> None:
    rig = Rig(clickhouse, alert_store, make_rule(threshold=2, window_s=10))
    rig.run(0)
    rig.errors(ingested_ns=BEGIN_NS + 25 * SECOND_NS)
    for _ in range(6):
        rig.run()
    assert [line.body["content"]["value"] for line in rig.journal.pending_notices(0)] == [3, 0]


def test_by_their_own_time_a_delay_waits_for_late_logs(
    clickhouse: ClickHouse, alert_store: ClickHouseHttp
) -> None:
    rule = make_rule(threshold=2, window_s=10, time="event", delay_ns=30 * SECOND_NS)
    rig = Rig(clickhouse, alert_store, rule)
    rig.run(0)
    happened_ns = rig.clock.at_ns + SECOND_NS
    rig.run(20)
    put_logs(clickhouse, [{"at_ns": happened_ns, "ingested_ns": rig.clock.at_ns} for _ in range(3)])
    rig.run(10)
    assert rig.notices() == []
    rig.run(10)
    assert rig.notices() == ["firing"]


class Breaking:
    """The real store, whose next insert breaks off: before it is done, or after it but without an answer."""

    def __init__(self, store: ClickHouseHttp) -> None:
        self._store = store
        self.breaks: str | None = None

    def select(
        self, sql: str, parameters: Mapping[str, Any] | None = None, timeout_s: float = 30.0
    ) -> list[dict[str, Any]]:
        return self._store.select(sql, parameters, timeout_s)

    def insert(self, table: str, rows: Iterable[Mapping[str, Any]], timeout_s: float = 30.0) -> None:
        breaks, self.breaks = self.breaks, None
        if breaks != "before":
            self._store.insert(table, rows, timeout_s)
        if breaks is not None:
            raise StorageUnavailable("cannot reach ClickHouse: it broke off")


@pytest.mark.parametrize("breaks", ["before", "after"])
@pytest.mark.parametrize("restarts", [False, True], ids=["it goes on", "it is killed"])
def test_an_insert_that_breaks_off_neither_loses_nor_doubles_a_notice(
    clickhouse: ClickHouse, alert_store: ClickHouseHttp, breaks: str, restarts: bool
) -> None:
    breaking = Breaking(alert_store)
    rig = Rig(clickhouse, alert_store)
    rig.runner = Runner(rig.order, breaking, SteadyClock(rig.clock))
    rig.run(0)
    rig.errors()
    breaking.breaks = breaks
    with pytest.raises(StorageUnavailable):
        rig.run()
    if restarts:
        rig.restart()
    rig.run(0)
    rig.run()
    assert rig.notices() == ["firing"]
    assert rig.events() == ["transition"]


def test_commands_are_carried_out_once_also_over_restarts(rig: Rig) -> None:
    rig.run(0)
    rig.command("mute", user="ann", text="moving house")
    rig.errors()
    rig.run(look_for_commands=True)
    rig.restart()
    rig.run()
    assert (rig.notices(), rig.events()) == ([], ["muted", "transition", "not_sent"])
    rig.command("unmute", user="ann")
    rig.restart()
    rig.run(0)
    assert rig.notices() == ["firing"]


def test_a_maintenance_window_is_kept(rig: Rig) -> None:
    window = MaintenanceWindow(
        "window-1", "move", starts_at_ns=BEGIN_NS, ends_at_ns=BEGIN_NS + 30 * SECOND_NS
    )
    rig.restart(make_order(RULE, maintenance=(window,)))
    rig.run(0)
    rig.errors()
    rig.run()
    assert rig.notices() == []
    rig.run(20)
    assert rig.notices() == ["firing"]


def test_a_query_that_fails_becomes_the_error_state(rig: Rig) -> None:
    rig.run(0)
    rig.clickhouse.command("RENAME TABLE logs TO away")
    rig.run(30)
    assert rig.runner.state is not None
    assert (rig.runner.state.status, rig.notices()) == ("error", ["error"])
    rig.clickhouse.command("RENAME TABLE away TO logs")
    rig.run()
    assert rig.runner.state.status == "ok"


def test_nothing_happening_is_written_rarely_and_summed_up(rig: Rig) -> None:
    rig.run(0)
    revisions = set()
    for _ in range(int(SUMMARY_INTERVAL_NS / RULE.interval_ns) + 3):
        rig.run()
        assert rig.runner.state is not None
        revisions.add(rig.runner.state.revision)
    assert len(revisions) <= 1 + (SUMMARY_INTERVAL_NS / SECOND_NS + 30) / 30
    [line] = rig.journal.history(RULE.id, None, 10)
    assert (line.body["event"], line.body["failures"], line.body["value_max"]) == ("evaluated", 0, 0)
    assert line.body["evaluations"] >= SUMMARY_INTERVAL_NS / RULE.interval_ns


def test_history_is_kept_for_its_days_and_the_state_for_ever(rig: Rig) -> None:
    journal, now_ns = Journal(rig.store, retention_days=7), time.time_ns()
    for days in (6, 8):
        at_ns = now_ns - days * 24 * 3600 * SECOND_NS
        entries = journal.entry_rows(RULE.id, [Entry("muted", "", {"days": days})], f"{days}", at_ns)
        journal.write([journal.state_row(RULE.id, RuleState(revision=9 - days), at_ns), *entries])
    rig.clickhouse.command("OPTIMIZE TABLE alert_journal FINAL")
    assert [line.body["days"] for line in journal.history(RULE.id, None, 10)] == [6]
    assert journal.state(RULE.id).revision == 3


def test_each_group_has_its_own_lines(clickhouse: ClickHouse, alert_store: ClickHouseHttp) -> None:
    rig = Rig(clickhouse, alert_store, replace(RULE, group_by="host"))
    rig.run(0)
    rig.errors(host="a", message="from a")
    rig.errors(host='b"c', message="from b")
    rig.run()
    found = {line.group: line.body["content"] for line in rig.journal.pending_notices(0)}
    assert {name: {log["message"] for log in each["sample_logs"]} for name, each in found.items()} == {
        "a": {"from a"},
        'b"c': {"from b"},
    }
    assert found['b"c']["links"]["search"].endswith("&group=b%22c")


def test_it_is_known_when_it_has_something_to_do(rig: Rig) -> None:
    rig.run(3)
    assert rig.runner.next_ns() == BEGIN_NS + 10 * SECOND_NS

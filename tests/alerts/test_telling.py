"""Cooldown, repeats, mute, maintenance, acknowledgement and escalation."""

from dataclasses import replace
from typing import Any

import pytest

from alerts.commands import Command, CommandKind, apply_command
from alerts.notice import notice_content
from alerts.rule import SECOND_NS, EscalationPolicy, EscalationStep, NoData, Target
from alerts.schedule import Window
from alerts.telling import next_due_ns
from tests.alerts.making import MINUTE_NS, make_rule
from tests.alerts.playing import EMPTY, Play

TEAM, BOSS = Target("webhook-team", "webhook", {}), Target("webhook-boss", "webhook", {})
PAGER = Target("pagerduty-1", "pagerduty", {})
POLICY = EscalationPolicy(
    "policy-1",
    "on call",
    (EscalationStep(60 * SECOND_NS, (TEAM,)), EscalationStep(120 * SECOND_NS, (BOSS,))),
    1,
)


def test_a_cooldown_holds_back_the_next_episode_and_then_tells_if_it_still_lasts() -> None:
    play = Play(make_rule(cooldown_ns=60 * SECOND_NS))
    assert play.see(11, 0) == ["firing", "resolved"]
    assert play.see(11) == []
    assert play.whys() == ["cooldown"]
    assert play.see(11, 11, 11) == []
    assert play.wait(10) == ["firing"]


def test_an_episode_that_nobody_was_told_of_ends_in_silence() -> None:
    play = Play(make_rule(cooldown_ns=3600 * SECOND_NS))
    assert play.see(11, 0, 11, 0, 11, 0) == ["firing", "resolved"]
    assert play.whys() == ["cooldown", "cooldown"]


def test_groups_have_cooldowns_of_their_own() -> None:
    play = Play(make_rule(group_by="host", cooldown_ns=3600 * SECOND_NS))
    assert play.see({"a": 11}, {"a": 0, "b": 11}) == ["firing", "resolved", "firing"]


def test_it_is_repeated_while_it_lasts() -> None:
    play = Play(make_rule(repeat_ns=30 * SECOND_NS))
    assert play.see(11, 11, 11) == ["firing"]
    assert play.see(11) == ["repeat"]
    assert play.wait(30) == ["repeat"]
    assert play.see(0) == ["resolved"]
    assert play.wait(300) == []


def test_a_muted_rule_is_evaluated_and_says_nothing_until_the_mute_ends_by_itself() -> None:
    play = Play(make_rule())
    play.do("mute", seconds=100)
    assert play.see(11) == []
    assert play.state.status == "alerting"
    assert play.whys() == ["muted"]
    assert play.wait(95) == ["firing"]
    assert [entry.kind for entry in play.entries] == ["muted", "transition", "not_sent", "unmuted"]


def test_unmute_tells_what_still_lasts() -> None:
    play = Play(make_rule())
    play.do("mute")
    assert play.see(11, 11) == []
    assert play.wait(10_000_000) == []
    assert play.do("unmute") == ["firing"]


def test_what_was_told_before_the_mute_is_closed_all_the_same() -> None:
    play = Play(make_rule(repeat_ns=10 * SECOND_NS))
    play.see(11)
    play.do("mute")
    assert play.see(11, 0) == ["resolved"]
    assert play.see(11, 0) == []


def test_a_maintenance_window_holds_back_and_is_named() -> None:
    play = Play(make_rule())
    play.maintenance = "backups"
    assert play.see(11) == []
    assert play.whys() == ["maintenance: backups"]
    play.maintenance = None
    assert play.see(11) == ["firing"]


def test_acknowledging_stops_repeats_until_the_next_episode() -> None:
    play = Play(make_rule(repeat_ns=10 * SECOND_NS))
    assert play.see(11) == ["firing"]
    assert play.do("acknowledge") == []
    assert play.see(11, 11, 11) == []
    assert play.state.groups[""].acknowledged is not None
    assert play.see(0) == ["resolved"]
    assert play.see(11, 11) == ["firing", "repeat"]


def test_an_acknowledgement_ends_at_its_time() -> None:
    play = Play(make_rule(repeat_ns=10 * SECOND_NS))
    play.see(11)
    play.do("acknowledge", seconds=60)
    assert play.wait(50) == []
    assert play.wait(11) == ["repeat"]


def test_unacknowledge_goes_on_as_before() -> None:
    play = Play(make_rule(repeat_ns=10 * SECOND_NS))
    play.see(11)
    play.do("acknowledge")
    assert play.wait(20) == []
    assert play.do("unacknowledge") == ["repeat"]


def test_a_higher_severity_is_told_although_it_is_acknowledged() -> None:
    play = Play(make_rule(threshold=20, warning=10))
    play.see(15)
    play.do("acknowledge")
    assert play.see(25) == ["firing"]


def test_an_acknowledgement_of_an_episode_that_has_ended_is_nothing() -> None:
    play = Play(make_rule())
    play.see(11)
    old = play.state.groups[""].episode
    play.see(0, 11)
    step = apply_command(
        play.rule, play.state, Command(play.now_ns + 1, "acknowledge", "ann", "", None, (("", old),))
    )
    assert step.state.groups[""].acknowledged is None


def test_a_command_is_carried_out_once() -> None:
    play = Play(make_rule())
    command = Command(play.now_ns + 1, "mute")
    state = apply_command(play.rule, play.state, command).state
    assert apply_command(play.rule, state, command).entries == ()


def test_only_pagerduty_is_told_of_an_acknowledgement() -> None:
    play = Play(make_rule(targets=(TEAM, PAGER)))
    play.see(11)
    assert play.do("acknowledge") == ["acknowledged"]
    assert play.notices[-1].targets == (PAGER,)


def test_escalation_goes_up_step_by_step_and_round_again() -> None:
    play = Play(make_rule(escalation=POLICY))
    assert play.see(11) == ["firing"]
    said = [play.wait(each) for each in (59, 1, 119, 1, 60, 120, 1000)]
    assert said == [[], ["escalation"], [], ["escalation"], ["escalation"], ["escalation"], []]
    told = [notice.targets[0] for notice in play.notices if notice.kind == "escalation"]
    assert told == [TEAM, BOSS, TEAM, BOSS]
    assert play.see(0) == ["resolved"]
    assert list(play.notices[-1].targets) == [*play.rule.targets, TEAM, BOSS]


def test_acknowledging_stops_the_escalation_and_a_new_episode_starts_it_afresh() -> None:
    play = Play(make_rule(escalation=POLICY))
    play.see(11)
    play.wait(60)
    play.do("acknowledge")
    assert play.wait(10_000) == []
    assert play.see(0, 11) == ["resolved", "firing"]
    assert play.wait(60) == ["escalation"]
    assert play.notices[-1].targets == (TEAM,)


def test_a_mute_holds_the_escalation_too() -> None:
    play = Play(make_rule(escalation=POLICY))
    play.see(11)
    play.do("mute")
    assert play.wait(10_000) == []


def test_what_is_said_again_of_a_rule_without_data_does_not_speak_of_an_alert() -> None:
    play = Play(make_rule(no_data=NoData(1, "no_data"), repeat_ns=30 * SECOND_NS, escalation=POLICY))
    assert play.see(EMPTY) == ["no_data"]
    assert play.wait(60) == ["repeat", "escalation"]
    window = Window(play.now_ns - MINUTE_NS, play.now_ns)
    said = [notice_content(play.rule, each, window, play.now_ns, {}, [], []) for each in play.notices]
    assert [(each["state"], each["summary"]) for each in said] == [
        ("no_data", "Errors has no data: no log in 1m"),
        ("no_data", "Errors still has no data: no log in 1m"),
        ("no_data", "Errors has no data and nobody has acknowledged it: no log in 1m"),
    ]


def test_without_a_wish_for_resolved_notices_there_are_none() -> None:
    assert Play(make_rule(send_resolved=False)).see(11, 0) == ["firing"]


def test_an_error_in_a_mute_is_told_after_it() -> None:
    play = Play(make_rule(error_after=1))
    play.do("mute")
    assert play.see(error="x") == []
    assert play.do("unmute") == ["error"]


@pytest.mark.parametrize(
    ("fields", "commands", "due_s"),
    [
        ({}, (), None),
        ({"repeat_ns": 50 * SECOND_NS}, (), 50),
        ({"escalation": POLICY}, (), 60),
        ({}, ("mute",), 30),
        ({}, ("acknowledge",), 30),
    ],
)
def test_it_is_known_when_time_alone_will_change_something(
    fields: dict[str, Any], commands: tuple[CommandKind, ...], due_s: float | None
) -> None:
    play = Play(replace(make_rule(), **fields))
    play.see(11)
    for command in commands:
        play.do(command, seconds=30)
    due_ns = next_due_ns(play.rule, play.state, play.now_ns)
    assert due_ns == (None if due_s is None else play.now_ns + due_s * SECOND_NS)

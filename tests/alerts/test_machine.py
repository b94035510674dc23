"""The life of a rule: firing, recovery, hysteresis, severities, groups, no data and errors."""

from dataclasses import replace

from alerts.machine import GROUP_MEMORY_NS, apply_evaluation
from alerts.rule import NoData, Threshold
from tests.alerts.making import make_rule, window_of
from tests.alerts.playing import EMPTY, Play


def test_a_rule_fires_once_and_resolves_once() -> None:
    play = Play(make_rule())
    assert play.see(10) == []
    assert play.see(11) == ["firing"]
    assert play.see(12, 99) == []
    assert play.see(10) == ["resolved"]
    assert play.see(0) == []
    assert play.state.status == "ok"


def test_the_value_and_the_last_trigger_are_kept() -> None:
    play = Play(make_rule())
    play.see(11)
    triggered_ns = play.now_ns
    play.see(12, 3)
    assert play.state.worst.value == 3
    assert play.state.last_triggered_ns == triggered_ns


def test_a_window_that_was_taken_changes_nothing() -> None:
    play = Play(make_rule())
    play.see(11)
    again = apply_evaluation(play.rule, play.state, window_of(play.now_ns, 0), play.now_ns)
    assert (again.state, again.entries, again.notices) == (play.state, (), ())


def test_it_takes_consecutive_windows_to_fire_and_to_recover() -> None:
    play = Play(make_rule(fire_after=3, recover_after=2))
    assert play.see(11, 11, 0, 11, 11) == []
    assert play.see(11) == ["firing"]
    assert play.see(0, 11, 0) == []
    assert play.see(0) == ["resolved"]


def test_hysteresis_keeps_it_alerting_until_the_recovery_threshold() -> None:
    play = Play(make_rule(recovery=5))
    play.see(11)
    assert play.see(10, 6, 9) == []
    assert play.see(5) == ["resolved"]
    assert play.see(9) == []


def test_a_rule_that_fires_below_recovers_above() -> None:
    play = Play(make_rule("<", 10, recovery=20))
    assert play.see(9) == ["firing"]
    assert play.see(15) == []
    assert play.see(20) == ["resolved"]


def test_a_higher_severity_is_told_at_once_and_a_lower_one_is_not() -> None:
    play = Play(make_rule(threshold=20, warning=10, cooldown_ns=3600 * 10**9))
    assert play.see(15) == ["firing"]
    assert play.see(25) == ["firing"]
    assert play.see(15) == []
    assert play.see(5) == ["resolved"]
    assert [notice.severity for notice in play.notices] == ["warning", "critical", "warning"]
    assert len({notice.episode for notice in play.notices}) == 1


def test_what_all_windows_of_a_rise_agree_on_is_the_severity() -> None:
    play = Play(make_rule(threshold=20, warning=10, fire_after=2))
    play.see(25, 15)
    assert [notice.severity for notice in play.notices] == ["warning"]


def test_each_group_has_its_own_state_and_notices() -> None:
    play = Play(make_rule(group_by="host"))
    assert play.see({"a": 11, "b": 1}) == ["firing"]
    assert play.see({"a": 11, "b": 11}) == ["firing"]
    assert play.see({"b": 11}) == ["resolved"]  # no log of a: 0
    assert [(notice.kind, notice.group) for notice in play.notices] == [
        ("firing", "a"),
        ("firing", "b"),
        ("resolved", "a"),
    ]


def test_a_group_that_is_silent_for_a_day_is_forgotten_and_closed() -> None:
    play = Play(make_rule("<", 5, group_by="host"))
    assert play.see({"a": 9}, {}) == ["firing"]
    play.now_ns += GROUP_MEMORY_NS
    assert play.see({}) == ["resolved"]
    assert play.state.groups == {}


def test_grouping_by_another_field_closes_what_was_open() -> None:
    play = Play(make_rule())
    play.see(11)
    play.rule = replace(play.rule, group_by="host")
    assert play.see({"a": 1}) == ["resolved"]
    assert list(play.state.groups) == ["a"]


def test_no_data_after_so_many_empty_windows_and_back() -> None:
    play = Play(make_rule(no_data=NoData(3, "no_data")))
    assert play.see(1, EMPTY, EMPTY) == []
    assert play.see(EMPTY) == ["no_data"]
    assert play.state.status == "no_data"
    assert play.see(EMPTY, EMPTY) == []
    assert play.see(1) == ["resolved"]


def test_no_data_that_turns_into_an_alert_stays_one_episode() -> None:
    play = Play(make_rule(no_data=NoData(1, "no_data")))
    assert play.see(EMPTY, 11, 1) == ["no_data", "firing", "resolved"]
    assert len({notice.episode for notice in play.notices}) == 1


def test_what_no_data_does_can_be_chosen() -> None:
    alerting = Play(make_rule(no_data=NoData(2, "alerting")))
    assert alerting.see(EMPTY, EMPTY, EMPTY, 1) == ["firing", "resolved"]
    ok = Play(make_rule("<", 5, no_data=NoData(2, "ok")))
    assert ok.see(EMPTY, EMPTY) == ["firing", "resolved"]
    keep = Play(make_rule(no_data=NoData(2, "keep")))
    assert keep.see(11, EMPTY) == ["firing", "resolved"]  # one empty window is a count of 0
    assert keep.see(11) == ["firing"]
    keep.rule = replace(keep.rule, no_data=NoData(1, "keep"))
    assert keep.see(EMPTY, EMPTY) == []
    assert keep.state.status == "alerting"


def test_without_a_word_on_no_data_nothing_is_a_count_of_zero() -> None:
    assert Play(make_rule("==", 0)).see(EMPTY) == ["firing"]


def test_a_percentage_of_nothing_changes_nothing() -> None:
    play = Play(make_rule(kind="percentage", fire_after=2))
    assert play.see(50, EMPTY, 50) == ["firing"]
    assert play.see(EMPTY, EMPTY) == []


def test_a_failing_query_is_an_error_told_when_it_lasts_and_over_when_it_works() -> None:
    play = Play(make_rule(error_after=3))
    play.see(11)
    assert play.see(error="no such column") == []
    assert play.state.status == "error"
    assert play.see(error="no such column") == []
    assert play.see(error="no such column") == ["error"]
    assert play.see(error="no such column") == []
    assert play.state.groups[""].status == "alerting"
    assert play.see(11) == ["error_resolved"]
    assert play.state.status == "alerting"


def test_a_short_failure_is_told_to_nobody() -> None:
    play = Play(make_rule(error_after=3))
    play.see(error="x")
    assert play.see(1) == []
    assert [entry.detail.get("to") for entry in play.entries] == ["error", "ok"]


def test_the_history_has_every_transition_with_its_value() -> None:
    play = Play(make_rule())
    play.see(11, 3)
    assert [(e.detail["from"], e.detail["to"], e.detail["value"]) for e in play.entries] == [
        ("ok", "alerting", 11),
        ("alerting", "ok", 3),
    ]


def test_a_rule_whose_thresholds_were_changed_goes_on_in_its_state() -> None:
    play = Play(make_rule())
    play.see(11)
    condition = replace(play.rule.condition, thresholds=(Threshold("critical", 100, 100),))
    play.rule = replace(play.rule, condition=condition)
    assert play.see(11) == ["resolved"]

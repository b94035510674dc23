"""Rules as people send them: short forms, defaults, and every wrong field by its path."""

from typing import Any

import pytest

from alerts.book import read_rule
from alerts.request import RuleBody
from alerts.rule import SECOND_NS, Rule, Threshold
from alerts.validation import validate
from core.errors import InvalidRequest

DEMO = {
    "name": "High error rate",
    "query": "level:error AND service:api",
    "condition": {"type": "count", "operator": ">", "threshold": 10, "window": "5m"},
    "notifications": [{"type": "slack", "channel": "#alerts"}, {"type": "pagerduty", "service_key": "xxx"}],
}


def read(**change: Any) -> Rule:
    return read_rule("alert-1", validate(RuleBody, {**DEMO, **change}), {})


def test_the_demos_rule_has_sensible_defaults() -> None:
    rule = read()
    assert rule.condition.thresholds == (Threshold("critical", 10, 10),)
    assert (rule.condition.window_ns, rule.interval_ns) == (300 * SECOND_NS, 60 * SECOND_NS)
    assert [(target.kind, dict(target.config)) for target in rule.targets] == [
        ("slack", {"channel": "#alerts"}),
        ("pagerduty", {"service_key": "xxx"}),
    ]
    assert 0 <= rule.phase_ns < rule.interval_ns


def test_a_rule_and_its_targets_show_no_secret_when_printed() -> None:
    assert "xxx" not in repr(read())


@pytest.mark.parametrize(
    "short",
    [
        {"condition": "count > 10"},
        {"condition": "> 10"},
        {"condition": {"threshold": 10}},
        {"condition": {"operator": "gt", "threshold": "10"}},
        {"condition": {"type": "count"}, "threshold": 10, "operator": "above", "window": 300},
    ],
)
def test_short_forms_mean_the_same(short: dict[str, Any]) -> None:
    assert read(**short).condition == read().condition


def test_a_number_of_consecutive_windows_is_for_firing() -> None:
    rule = read(consecutive=3)
    assert (rule.fire_after, rule.recover_after) == (3, 1)


def test_thresholds_stand_in_the_order_of_their_severity() -> None:
    thresholds = {"critical": 100, "warning": 10}
    condition = {"thresholds": thresholds, "recovery_threshold": {"critical": 80}}
    assert read(condition=condition).condition.thresholds == (
        Threshold("warning", 10, 10),
        Threshold("critical", 100, 80),
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"query": "level:("}, "query"),
        ({"query": "timestamp:>now-5m"}, "query"),
        ({"name": ""}, "name"),
        ({"colour": 1}, "colour"),
        ({"condition": {"threshold": 1, "window": "soon"}}, "condition.window"),
        ({"condition": {"threshold": 1, "window": "400d"}}, "condition.window"),
        ({"condition": {"window": "5m"}}, "condition.threshold"),
        ({"condition": {"threshold": "many"}}, "condition.threshold"),
        ({"condition": {"operator": "!=", "threshold": 1}}, "condition.operator"),
        ({"condition": {"thresholds": {"warning": 5, "critical": 1}}}, "condition.thresholds"),
        ({"condition": {"threshold": 5, "recovery_threshold": 6}}, "condition.recovery_threshold"),
        ({"condition": {"type": "new_value"}}, "condition.field"),
        ({"condition": {"type": "percentage", "threshold": 5, "of": "("}}, "condition.of"),
        ({"group_by": "message"}, "group_by"),
        ({"escalation_policy": "policy-0"}, "escalation_policy"),
        ({"notifications": [{"type": "slack", "chanel": "#a"}]}, "notifications.0.chanel"),
        ({"notifications": [{"type": "fax"}]}, "notifications.0"),
        ({"notifications": [{"type": "webhook", "url": "file:///etc/passwd"}]}, "notifications.0.url"),
        (
            {"notifications": [{"type": "pagerduty", "service_key": "********"}]},
            "notifications.0.service_key",
        ),
        (
            {"notifications": [{"type": "webhook", "url": "http://a.example", "template": "{{secret}}"}]},
            "notifications.0.template",
        ),
        ({"notifications": [{"type": "email", "to": "a@b\nBcc: c"}]}, "notifications.0.to"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(change: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(**change)
    assert list(refused.value.problems) == [path]

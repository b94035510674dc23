"""A rule looked at by people: what an evaluation would give now, and which logs one has counted."""

from typing import Any, Final

from alerts.compile import compile_rule
from alerts.condition import level_reached
from alerts.evaluation import Reading
from alerts.journal import Store
from alerts.machine import severity_of
from alerts.notice import search_of
from alerts.rule import Rule
from alerts.schedule import Window
from alerts.statements import evaluate, sample_logs
from query.iso import iso

TIMEOUT_S: Final = 30.0
GROUPS_SHOWN_MAX: Final = 500


def tried(store: Store, rule: Rule, now_ns: int) -> dict[str, Any]:
    """The answer of the test routes. Blocks; raises StorageUnavailable."""
    window = Window(now_ns - rule.condition.window_ns, now_ns)
    statements = compile_rule(rule)
    evaluation = evaluate(store, rule, statements, window, TIMEOUT_S)
    groups = sorted(evaluation.groups.items(), key=lambda each: _rank(rule, each[1]), reverse=True)
    samples: list[dict[str, Any]] = []
    worst: dict[str, Any] = {"value": None, "severity": None, "new_values": []}
    if groups:
        name, reading = groups[0]
        worst = _shown(rule, reading)
        samples = sample_logs(store, rule, statements, window, name, TIMEOUT_S)
    return {
        "would_fire": worst["severity"] is not None,
        **worst,
        "error": evaluation.error,
        "window_from": iso(window.from_ns),
        "window_until": iso(window.until_ns),
        "groups": None
        if rule.group_by is None
        else [{"group": name, **_shown(rule, reading)} for name, reading in groups[:GROUPS_SHOWN_MAX]],
        "sample_logs": samples,
    }


def counted(store: Store, rule: Rule, window: Window, group: str, limit: int) -> dict[str, Any]:
    """The answer of the route that a notice links to: the newest logs that were counted. Blocks."""
    statements = compile_rule(rule)
    return {
        "alert": rule.id,
        "group": group or None,
        "window_from": iso(window.from_ns),
        "window_until": iso(window.until_ns),
        "search": search_of(rule, window, group),
        "logs": sample_logs(store, rule, statements, window, group, TIMEOUT_S, limit),
    }


def _level(rule: Rule, reading: Reading) -> int:
    return 0 if reading.value is None else level_reached(rule.condition, reading.value)


def _rank(rule: Rule, reading: Reading) -> tuple[int, float]:
    return _level(rule, reading), reading.value or 0.0


def _shown(rule: Rule, reading: Reading) -> dict[str, Any]:
    level = _level(rule, reading)
    return {
        "value": reading.value,
        "severity": severity_of(rule, level) if level else None,
        "new_values": list(reading.new_values),
    }

"""What a notice says: a plain object, made by the rule's process, kept in the journal, written out by
renderers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from alerts.machine import Notice
from alerts.rule import SECOND_NS, Condition, Rule
from alerts.schedule import Window
from query.iso import iso
from query.quoting import print_field, quote

STATES: Final = {
    "firing": "alerting",
    "repeat": "alerting",
    "escalation": "alerting",
    "acknowledged": "alerting",
    "no_data": "no_data",
    "resolved": "ok",
    "error": "error",
    "error_resolved": "ok",
}
_AS_THE_GROUP: Final = frozenset({"repeat", "escalation", "acknowledged"})  # alerting, or without data
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
_HEADLINES: Final = {
    "firing": "is alerting",
    "repeat": "is still alerting",
    "escalation": "is alerting and nobody has acknowledged it",
    "acknowledged": "was acknowledged",
    "no_data": "has no data",
    "repeat no_data": "still has no data",
    "escalation no_data": "has no data and nobody has acknowledged it",
    "resolved": "is resolved",
    "error": "cannot be evaluated",
    "error_resolved": "can be evaluated again",
}


@dataclass(frozen=True, slots=True)
class Links:
    """Where a reader goes on: the base of the API's public address."""

    public_url: str

    def of(self, rule: Rule, window: Window, group: str) -> dict[str, str]:
        """The rule itself, and the logs that it counted."""
        alert = f"{self.public_url.rstrip('/')}/api/v1/alerts/{rule.id}"
        wanted = {"from": iso(window.from_ns), "to": iso(window.until_ns)}
        if rule.group_by is not None:
            wanted["group"] = group
        return {"alert": alert, "search": f"{alert}/logs?{urlencode(wanted)}"}


def search_of(rule: Rule, window: Window, group: str) -> dict[str, str]:
    """The body of the search for the logs of a window, to go on from there."""
    query = rule.query
    if rule.group_by is not None:
        query = f"{_in_parentheses(query)} AND {print_field(rule.group_by)}:{quote(group)}"
    span = {"from": iso(window.from_ns), "to": iso(window.until_ns - 1)}
    if rule.time == "event":
        return {"query": query, **span}
    return {"query": f"{_in_parentheses(query)} AND _ingested_at:[{span['from']} TO {span['to']}]"}


def notice_content(
    rule: Rule,
    notice: Notice,
    window: Window,
    at_ns: int,
    links: Mapping[str, str],
    sample_logs: list[dict[str, Any]],
    new_values: list[str],
) -> dict[str, Any]:
    """Everything that a receiver can be told; the places of templates (alerts.template.PLACES) are its
    keys.
    """
    threshold = next((t.value for t in rule.condition.thresholds if t.severity == notice.severity), None)
    if threshold is None:
        threshold = rule.condition.thresholds[0].value
    content: dict[str, Any] = {
        "event": notice.kind,
        "state": notice.status if notice.kind in _AS_THE_GROUP else STATES[notice.kind],
        "severity": notice.severity,
        "group": notice.group,
        "group_by": rule.group_by,
        "value": notice.value,
        "threshold": threshold,
        "operator": rule.condition.operator,
        "condition": condition_text(rule.condition, threshold),
        "window": duration_text(rule.condition.window_ns),
        "window_from": iso(window.from_ns),
        "window_until": iso(window.until_ns),
        "episode": f"{rule.id}-{notice.episode}",
        "since": iso(notice.since_ns),
        "at": iso(at_ns),
        "number": notice.number,
        "error": notice.detail.get("error"),
        "detail": notice.detail,
        "new_values": new_values,
        "sample_logs": sample_logs,
        "links": dict(links),
        "rule": {
            "id": rule.id,
            "name": rule.name,
            "description": rule.description,
            "query": rule.query,
            "labels": dict(rule.labels or {}),
        },
    }
    content["summary"] = summary(content)
    return content


def summary(content: Mapping[str, Any]) -> str:
    """One line that says it all."""
    rule, kind = content["rule"], content["event"]
    of_group = (
        f" ({content['group_by']}: {content['group']})" if content["group_by"] and content["group"] else ""
    )
    headline = _HEADLINES.get(f"{kind} {content['state']}", _HEADLINES[kind])
    line = f"{rule['name']}{of_group} {headline}"
    if kind in ("error", "error_resolved"):
        return f"{line}: {content['error']}" if content["error"] else line
    if kind == "acknowledged":
        return f"{line} by {content['detail'].get('user', 'somebody')}"
    if content["state"] == "no_data":
        return f"{line}: no log in {content['window']}"
    return f"{line}: {content['condition']}, now {number_text(content['value'])}"


def condition_text(condition: Condition, threshold: float) -> str:
    """`count > 10 in 5m`."""
    what: str = condition.kind
    if condition.kind == "rate":
        what = "logs/s" if condition.per_ns == SECOND_NS else "logs/min"
    elif condition.kind == "new_value":
        what = f"new values of {condition.field}"
    unit = " %" if condition.kind == "percentage" else ""
    return (
        f"{what} {condition.operator} {number_text(threshold)}{unit} in {duration_text(condition.window_ns)}"
    )


def number_text(value: float | None) -> str:
    """A number as people write it."""
    return "none" if value is None else f"{value:.10g}" if value != int(value) else str(int(value))


def duration_text(length_ns: int) -> str:
    """`1h30m`."""
    left, parts = length_ns // 1_000_000, []
    for unit, length in _UNITS:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def _in_parentheses(query: str) -> str:
    return f"({query})" if query.strip() not in ("", "*") else "*"

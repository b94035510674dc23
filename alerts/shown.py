"""Rules, policies and their states as the API shows them."""

from collections.abc import Mapping
from typing import Any, Final

from alerts.definitions import Definition
from alerts.journal import Line
from alerts.machine import severity_of
from alerts.notice import duration_text
from alerts.rule import Rule
from alerts.state import Acknowledgement, GroupState, RuleState
from alerts.targets import masked
from query.iso import iso

STATUSES: Final = {"sent": "sent", "failed": "not_sent", "retry": "retrying", "sending": "sending"}


def shown_rule(definition: Definition, rule: Rule, state: RuleState) -> dict[str, Any]:
    """A rule with its state; secrets are masked."""
    body = dict(definition.body)
    body["notifications"] = [masked(each) for each in body.get("notifications", ())]
    body["interval"] = body.get("interval") or duration_text(rule.interval_ns)
    worst = state.worst
    return {
        "id": definition.id,
        **body,
        "state": state.status,
        "current_severity": severity_of(rule, worst.level) if worst.status == "alerting" else None,
        "value": worst.value,
        "since": _iso(worst.since_ns),
        "last_triggered": _iso(state.last_triggered_ns),
        "last_evaluated": _iso(state.evaluated_at_ns),
        "last_notified": _iso(max((g.last_notified_ns for g in state.groups.values()), default=0)),
        "error": state.error or None,
        "muted": _muted(state),
        "acknowledged": _acknowledged(worst.acknowledged),
        "groups": [_group(rule, name, group) for name, group in sorted(state.groups.items())]
        if rule.group_by is not None
        else None,
        "more_groups": state.more_groups,
        "created_at": iso(definition.created_at_ns),
        "updated_at": iso(definition.version),
    }


def shown_policy(definition: Definition) -> dict[str, Any]:
    """An escalation policy; secrets are masked."""
    steps = [
        {**step, "targets": [masked(each) for each in step["targets"]]} for step in definition.body["steps"]
    ]
    return {**shown_window(definition), "steps": steps}


def shown_window(definition: Definition) -> dict[str, Any]:
    """A maintenance window."""
    return {
        "id": definition.id,
        **definition.body,
        "created_at": iso(definition.created_at_ns),
        "updated_at": iso(definition.version),
    }


def shown_line(line: Line, deliveries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A line of the history; of a notice, to whom it went and what became of it."""
    shown: dict[str, Any] = {"at": iso(line.at_ns), "group": line.group or None}
    if line.kind == "history":
        return {**shown, **{name: _readable(name, value) for name, value in line.body.items()}}
    content, target = line.body["content"], line.body["target"]
    delivery = deliveries.get(line.key, {"status": "waiting", "reason": "", "attempts": 0})
    status = STATUSES.get(delivery["status"], "waiting")
    shown |= {
        "event": "notice",
        "id": line.key,
        "notice": content["event"],
        "summary": content["summary"],
        "severity": content["severity"],
        "value": content["value"],
        "target": masked({"type": target["kind"], **target["config"]}),
        "status": status,
        "why": delivery["reason"] or None,
        "attempts": delivery["attempts"],
        "sample_logs": len(content["sample_logs"]),
    }
    shown["target"].pop("template", None)
    if "next_attempt_at_ns" in delivery and status == "retrying":
        shown["next_attempt_at"] = iso(delivery["next_attempt_at_ns"])
    return shown


def _group(rule: Rule, name: str, group: GroupState) -> dict[str, Any]:
    return {
        "group": name,
        "state": group.status,
        "severity": severity_of(rule, group.level) if group.status == "alerting" else None,
        "value": group.value,
        "since": _iso(group.since_ns),
        "last_triggered": _iso(group.last_triggered_ns),
        "acknowledged": _acknowledged(group.acknowledged),
    }


def _muted(state: RuleState) -> dict[str, Any] | None:
    if state.muted_until_ns is None:
        return None
    return {"until": _iso(state.muted_until_ns), "reason": state.mute_reason or None}


def _acknowledged(given: Acknowledgement | None) -> dict[str, Any] | None:
    if given is None:
        return None
    return {
        "user": given.user,
        "at": iso(given.at_ns),
        "until": _iso(given.until_ns),
        "note": given.note or None,
    }


def _readable(name: str, value: Any) -> Any:
    return iso(value) if name.endswith("_ns") and isinstance(value, int) else value


def _iso(at_ns: int | None) -> str | None:
    return iso(at_ns) if at_ns else None

"""The state machine of a rule: state and evaluation in, state and what happened out; no clock, no store,
no network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from alerts.condition import level_kept
from alerts.evaluation import Evaluation, Reading
from alerts.rule import SEVERITIES, Rule, Target
from alerts.state import GroupState, RuleState, Status

GROUP_MEMORY_NS: Final = 24 * 3600 * 1_000_000_000  # a group without a log for so long is forgotten

NoticeKind = Literal[
    "firing", "repeat", "escalation", "no_data", "resolved", "acknowledged", "error", "error_resolved"
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a rule's history."""

    kind: str
    group: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to tell to some targets: the `number`-th of an episode of a group that is in that status."""

    kind: NoticeKind
    group: str
    episode: int
    number: int
    severity: str
    value: float | None
    since_ns: int
    targets: tuple[Target, ...]
    detail: dict[str, Any] = field(default_factory=dict)
    status: Status = "alerting"


@dataclass(frozen=True, slots=True)
class Step:
    """The state after something happened, the history of it, and the notices that it calls for."""

    state: RuleState
    entries: tuple[Entry, ...] = ()
    notices: tuple[Notice, ...] = ()

    def then(self, following: "Step") -> "Step":
        """Both, one after the other; the state is that of the later one."""
        return Step(following.state, self.entries + following.entries, self.notices + following.notices)


def severity_of(rule: Rule, level: int) -> str:
    """The name of a level; of level 0 (no data) the rule's lowest."""
    thresholds = rule.condition.thresholds
    return thresholds[max(level, 1) - 1].severity if thresholds else SEVERITIES[-1]


def apply_evaluation(rule: Rule, state: RuleState, evaluation: Evaluation, now_ns: int) -> Step:
    """Take one window into account; a window that was taken before changes nothing."""
    if evaluation.until_ns <= state.evaluated_until_ns:
        return Step(state)
    state = replace(state, evaluated_until_ns=evaluation.until_ns, evaluated_at_ns=now_ns)
    if evaluation.error is not None:
        return _failed(rule, state, evaluation)
    step = _succeeded(rule, replace(state, more_groups=evaluation.more_groups))
    if step.state.group_by != rule.group_by:
        step = step.then(close_all(rule, step.state, "the rule groups its logs by another field now"))
        step = step.then(Step(replace(step.state, group_by=rule.group_by)))
    names: Sequence[str] = [""]
    if rule.group_by is not None:
        names = sorted({*evaluation.groups, *step.state.groups})
    for name in names:
        reading = evaluation.groups.get(name) or _nothing(rule)
        group = step.state.groups.get(name) or GroupState(since_ns=evaluation.until_ns)
        changed, entries, notices = _read(rule, name, group, reading, evaluation)
        step = step.then(Step(step.state.with_group(name, changed), entries, notices))
    return step.then(_forget_groups(rule, step.state, evaluation.until_ns))


def _nothing(rule: Rule) -> Reading:
    return Reading(None if rule.condition.kind == "percentage" else 0.0, empty=True)


def _failed(rule: Rule, state: RuleState, evaluation: Evaluation) -> Step:
    reason = evaluation.error or ""
    state = replace(state, errors=state.errors + 1, error=reason)
    if state.error_episode:
        return Step(state)
    # The first failure is shown at once; people are told when it lasts.
    state = replace(state, error_episode=evaluation.until_ns, error_notices=0)
    return Step(state, (Entry("transition", "", {"to": "error", "error": reason}),))


def _succeeded(rule: Rule, state: RuleState) -> Step:
    if not state.error_episode:
        return Step(state)
    notices: tuple[Notice, ...] = ()
    if state.error_notices and rule.send_resolved:
        episode, number = state.error_episode, state.error_notices + 1
        notices = (Notice("error_resolved", "", episode, number, "warning", None, episode, rule.targets),)
    state = replace(state, errors=0, error="", error_episode=0, error_owed=False, error_notices=0)
    return Step(state, (Entry("transition", "", {"from": "error", "to": state.status}),), notices)


Change = tuple[GroupState, tuple[Entry, ...], tuple[Notice, ...]]


def _read(rule: Rule, name: str, group: GroupState, reading: Reading, evaluation: Evaluation) -> Change:
    empty_windows = group.empty_windows + 1 if reading.empty else 0
    seen_ns = group.seen_ns if reading.empty else evaluation.until_ns
    group = replace(group, value=reading.value, empty_windows=empty_windows, seen_ns=seen_ns)
    if rule.no_data is not None and empty_windows >= rule.no_data.after:
        return _without_data(rule, name, group, evaluation)
    if reading.value is None:
        return group, (), ()  # a percentage of nothing says nothing: counters stay
    here = group.level if group.status == "alerting" else 0
    target = level_kept(rule.condition, reading.value, here)
    if target == here and group.status != "no_data":
        return replace(group, pending_count=0), (), ()
    group, decided = _counted(rule, group, target, rising=target > here)
    if decided is None:
        return group, (), ()
    return _moved(rule, name, group, decided, evaluation, reading.new_values)


def _counted(rule: Rule, group: GroupState, target: int, *, rising: bool) -> tuple[GroupState, int | None]:
    """Count one more window in this direction; the level once there are enough of them."""
    count, level = 1, target
    if group.pending_count and group.pending_rising == rising:
        count = group.pending_count + 1
        # What all of the windows agree on.
        level = min(group.pending_level, target) if rising else max(group.pending_level, target)
    if count < (rule.fire_after if rising else rule.recover_after):
        return replace(group, pending_count=count, pending_level=level, pending_rising=rising), None
    return replace(group, pending_count=0), level


def _without_data(rule: Rule, name: str, group: GroupState, evaluation: Evaluation) -> Change:
    assert rule.no_data is not None
    group = replace(group, pending_count=0)
    match rule.no_data.action:
        case "ok":
            return _moved(rule, name, group, 0, evaluation)
        case "alerting":
            return _moved(rule, name, group, max(group.level, len(rule.condition.thresholds)), evaluation)
        case "no_data" if group.status != "no_data":
            entry = Entry("transition", name, {"from": group.status, "to": "no_data"})
            began = group if group.episode else _new_episode(group, evaluation.until_ns)
            began = replace(
                began, status="no_data", level=0, since_ns=evaluation.until_ns, owed=True, held=""
            )
            return began, (entry,), ()
    return group, (), ()


def _moved(
    rule: Rule,
    name: str,
    group: GroupState,
    level: int,
    evaluation: Evaluation,
    new_values: tuple[str, ...] = (),
) -> Change:
    """The group is at that level from now on."""
    until_ns = evaluation.until_ns
    status = "alerting" if level else "ok"
    if status == group.status and level == group.level:
        return group, (), ()
    detail: dict[str, Any] = {"from": group.status, "to": status, "value": group.value}
    if level:
        detail["severity"] = severity_of(rule, level)
    if new_values:
        detail["new_values"] = list(new_values)
    entries = (Entry("transition", name, detail),)
    if not level:
        return _resolved(rule, name, group, until_ns), entries, _closing(rule, name, group)
    if group.status == "alerting":
        if level < group.level:
            return replace(group, level=level), entries, ()
        return replace(group, level=level, owed=True, urgent=True, held=""), entries, ()
    began = group if group.episode else _new_episode(group, until_ns)
    began = replace(began, status="alerting", level=level, since_ns=until_ns, last_triggered_ns=until_ns)
    return replace(began, owed=True, held=""), entries, ()


def _new_episode(group: GroupState, until_ns: int) -> GroupState:
    return replace(
        group,
        episode=until_ns,
        urgent=False,
        notices=0,
        notified_ns=0,
        acknowledged=None,
        escalation_step=0,
        escalation_round=0,
        escalation_due_ns=None,
        escalation_informed=0,
    )


def _resolved(rule: Rule, name: str, group: GroupState, until_ns: int) -> GroupState:
    ended = _new_episode(group, 0)
    return replace(ended, status="ok", level=0, since_ns=until_ns, owed=False, held="")


def _closing(rule: Rule, name: str, group: GroupState) -> tuple[Notice, ...]:
    """The notice of the end, to all who were told of the beginning; also when muted, since it closes what
    is open.
    """
    if not group.notified_ns or not rule.send_resolved:
        return ()
    targets = informed(rule, group)
    severity = severity_of(rule, group.level)
    return (
        Notice(
            "resolved", name, group.episode, group.notices + 1, severity, group.value, group.since_ns, targets
        ),
    )


def informed(rule: Rule, group: GroupState) -> tuple[Target, ...]:
    """The rule's targets and those of the escalation steps that were told in this episode, each once."""
    targets = {target.id: target for target in rule.targets}
    if rule.escalation is not None:
        for step in rule.escalation.steps[: group.escalation_informed]:
            targets.update((target.id, target) for target in step.targets)
    return tuple(targets.values())


def close_all(rule: Rule, state: RuleState, why: str) -> Step:
    """End every episode, since nothing will look at these groups again."""
    step = Step(replace(state, groups={}))
    for name, group in state.groups.items():
        if group.status != "ok":
            entry = Entry("transition", name, {"from": group.status, "to": "ok", "why": why})
            step = step.then(Step(step.state, (entry,), _closing(rule, name, group)))
    return step


def _forget_groups(rule: Rule, state: RuleState, until_ns: int) -> Step:
    if rule.group_by is None:
        return Step(state)
    step = Step(state)
    for name, group in state.groups.items():
        if until_ns - (group.seen_ns or group.since_ns) < GROUP_MEMORY_NS:
            continue
        left = {each: state for each, state in step.state.groups.items() if each != name}
        entries: tuple[Entry, ...] = ()
        if group.status != "ok":
            detail = {"from": group.status, "to": "ok", "why": "no log of this group for 24 h"}
            entries = (Entry("transition", name, detail),)
        step = step.then(Step(replace(step.state, groups=left), entries, _closing(rule, name, group)))
    return step

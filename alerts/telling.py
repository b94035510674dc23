"""When who is told: owed notices, what holds them back, repeats and escalation; as time passes, without
any query.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from alerts.machine import Entry, Notice, NoticeKind, Step, severity_of
from alerts.rule import Rule, Target
from alerts.state import GroupState, RuleState


@dataclass(frozen=True, slots=True)
class Silence:
    """Why nobody is told now."""

    reason: str


def advance(rule: Rule, state: RuleState, now_ns: int, maintenance: str | None) -> Step:
    """Everything that is due by now; `maintenance` names the maintenance window that is open."""
    step = _end_of_mute(state, now_ns)
    silence = _silence(step.state, maintenance)
    step = step.then(_error_notice(rule, step.state, silence))
    for name, group in step.state.groups.items():
        if group.status != "ok":
            changed, entries, notices = _Teller(rule, name, now_ns, silence).advance(group)
            step = step.then(Step(step.state.with_group(name, changed), entries, notices))
    return step


def next_due_ns(rule: Rule, state: RuleState, now_ns: int) -> int | None:
    """When `advance` has something to do next; None for not before the next evaluation."""
    return min((due for due in _due_times(rule, state) if due > now_ns), default=None)


def _due_times(rule: Rule, state: RuleState) -> Iterator[int]:
    if state.muted_until_ns:
        yield state.muted_until_ns
    for group in state.groups.values():
        if group.status == "ok":
            continue
        if group.acknowledged is not None and group.acknowledged.until_ns is not None:
            yield group.acknowledged.until_ns
        if group.owed:
            yield group.last_notified_ns + rule.cooldown_ns
        elif rule.repeat_ns is not None:
            yield group.last_notified_ns + max(rule.repeat_ns, rule.cooldown_ns)
        if group.escalation_due_ns is not None:
            yield group.escalation_due_ns


def _end_of_mute(state: RuleState, now_ns: int) -> Step:
    if state.muted_until_ns and now_ns >= state.muted_until_ns:
        state = replace(state, muted_until_ns=None, mute_reason="")
        return Step(state, (Entry("unmuted", "", {"why": "its time is over"}),))
    return Step(state)


def _silence(state: RuleState, maintenance: str | None) -> Silence | None:
    if state.muted_until_ns is not None:
        return Silence(f"muted: {state.mute_reason}" if state.mute_reason else "muted")
    return Silence(f"maintenance: {maintenance}") if maintenance is not None else None


def _error_notice(rule: Rule, state: RuleState, silence: Silence | None) -> Step:
    if not state.error_episode or state.error_notices or state.errors < rule.error_after:
        return Step(state)
    if silence is not None:
        if state.error_owed:
            return Step(state)
        entry = Entry("not_sent", "", {"notice": "error", "why": silence.reason})
        return Step(replace(state, error_owed=True), (entry,))
    notice = Notice(
        "error",
        "",
        state.error_episode,
        1,
        "warning",
        None,
        state.error_episode,
        rule.targets,
        {"error": state.error},
    )
    return Step(replace(state, error_notices=1, error_owed=False), (), (notice,))


@dataclass(slots=True)
class _Teller:
    """One group of a rule that is not ok, at one moment."""

    rule: Rule
    name: str
    now_ns: int
    silence: Silence | None

    def advance(self, group: GroupState) -> tuple[GroupState, tuple[Entry, ...], tuple[Notice, ...]]:
        entries: list[Entry] = []
        notices: list[Notice] = []
        acknowledged = group.acknowledged
        if (
            acknowledged is not None
            and acknowledged.until_ns is not None
            and self.now_ns >= acknowledged.until_ns
        ):
            group = self._start_escalation(replace(group, acknowledged=None))
            entries.append(Entry("unacknowledged", self.name, {"why": "its time is over"}))
        if group.owed:
            group = self._owed(group, entries, notices)
        elif self._repeat_is_due(group):
            group = self._told(group, "repeat", self.rule.targets, notices)
        if self._escalation_is_due(group):
            group = self._escalate(group, notices)
        return group, tuple(entries), tuple(notices)

    def _owed(self, group: GroupState, entries: list[Entry], notices: list[Notice]) -> GroupState:
        kind: NoticeKind = "no_data" if group.status == "no_data" else "firing"
        why = self._held_by(group)
        if why is None:
            group = self._told(group, kind, self.rule.targets, notices)
            return group if group.escalation_due_ns is not None else self._start_escalation(group)
        if why != group.held:
            entries.append(Entry("not_sent", self.name, {"notice": kind, "why": why}))
        return replace(group, held=why)

    def _held_by(self, group: GroupState) -> str | None:
        if self.silence is not None:
            return self.silence.reason
        if group.urgent:
            return None
        if group.acknowledged is not None:
            return f"acknowledged by {group.acknowledged.user}"
        if group.last_notified_ns and self.now_ns < group.last_notified_ns + self.rule.cooldown_ns:
            return "cooldown"
        return None

    def _repeat_is_due(self, group: GroupState) -> bool:
        if self.rule.repeat_ns is None or self.silence is not None or group.acknowledged is not None:
            return False
        return self.now_ns >= group.last_notified_ns + max(self.rule.repeat_ns, self.rule.cooldown_ns)

    def _escalation_is_due(self, group: GroupState) -> bool:
        due_ns = group.escalation_due_ns
        if due_ns is None or self.silence is not None or group.acknowledged is not None:
            return False
        return self.now_ns >= due_ns

    def _start_escalation(self, group: GroupState) -> GroupState:
        policy = self.rule.escalation
        if policy is None or not policy.steps or not group.notified_ns:
            return group
        due_ns = self.now_ns + policy.steps[0].delay_ns
        return replace(group, escalation_step=0, escalation_round=0, escalation_due_ns=due_ns)

    def _escalate(self, group: GroupState, notices: list[Notice]) -> GroupState:
        policy = self.rule.escalation
        if policy is None or group.escalation_step >= len(policy.steps):
            return replace(group, escalation_due_ns=None)  # the policy was changed meanwhile
        step = policy.steps[group.escalation_step]
        told = group.escalation_step + 1
        detail = {"policy": policy.name, "step": told, "round": group.escalation_round + 1}
        group = self._told(group, "escalation", step.targets, notices, detail)
        group = replace(group, escalation_informed=max(told, group.escalation_informed))
        following, round_ = told, group.escalation_round
        if following == len(policy.steps):
            following, round_ = 0, round_ + 1
            if round_ > policy.repeats:
                return replace(group, escalation_due_ns=None)
        due_ns = self.now_ns + policy.steps[following].delay_ns
        return replace(group, escalation_step=following, escalation_round=round_, escalation_due_ns=due_ns)

    def _told(
        self,
        group: GroupState,
        kind: NoticeKind,
        targets: tuple[Target, ...],
        notices: list[Notice],
        detail: dict[str, object] | None = None,
    ) -> GroupState:
        number = group.notices + 1
        severity = severity_of(self.rule, group.level)
        notices.append(
            Notice(
                kind,
                self.name,
                group.episode,
                number,
                severity,
                group.value,
                group.since_ns,
                targets,
                detail or {},
                group.status,
            )
        )
        group = replace(group, notices=number)
        if kind == "escalation":  # of other people: the cooldown of the rule's own targets goes on
            return group
        return replace(
            group, owed=False, urgent=False, held="", notified_ns=self.now_ns, last_notified_ns=self.now_ns
        )

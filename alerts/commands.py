"""What people do to a running rule: mute, unmute, acknowledge, unacknowledge; durable first, then applied."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Literal

from alerts.machine import Entry, Notice, Step, informed, severity_of
from alerts.rule import Rule
from alerts.state import Acknowledgement, GroupState, RuleState

CommandKind = Literal["mute", "unmute", "acknowledge", "unacknowledge"]


@dataclass(frozen=True, slots=True)
class Command:
    """One of them; `version` orders them, and is the time of the command in ns.

    `episodes` are the groups and episodes that are meant: one that has ended meanwhile is left alone.
    """

    version: int
    kind: CommandKind
    user: str = ""
    text: str = ""  # a reason or a note
    until_ns: int | None = None
    episodes: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> str:
        """As the journal keeps it."""
        return json.dumps(asdict(self), ensure_ascii=False)


def command_from_json(text: str) -> Command:
    """What was kept."""
    content = json.loads(text)
    episodes = tuple((str(group), int(episode)) for group, episode in content.pop("episodes"))
    return Command(**content, episodes=episodes)


def apply_command(rule: Rule, state: RuleState, command: Command) -> Step:
    """Carry out a command; one that was carried out before changes nothing."""
    if command.version <= state.commands_until:
        return Step(state)
    state = replace(state, commands_until=command.version)
    if command.kind == "mute":
        detail = {"user": command.user, "reason": command.text, "until_ns": command.until_ns}
        state = replace(state, muted_until_ns=command.until_ns or 0, mute_reason=command.text)
        return Step(state, (Entry("muted", "", detail),))
    if command.kind == "unmute":
        if state.muted_until_ns is None:
            return Step(state)
        state = replace(state, muted_until_ns=None, mute_reason="")
        return Step(state, (Entry("unmuted", "", {"user": command.user}),))
    step = Step(state)
    for name, episode in command.episodes:
        group = step.state.groups.get(name)
        if group is not None and group.episode == episode and group.status != "ok":
            change = _acknowledge if command.kind == "acknowledge" else _unacknowledge
            step = step.then(change(rule, step.state, name, group, command))
    return step


def _acknowledge(rule: Rule, state: RuleState, name: str, group: GroupState, command: Command) -> Step:
    acknowledgement = Acknowledgement(command.user, command.version, command.until_ns, command.text)
    entry = Entry("acknowledged", name, asdict(acknowledgement))
    notices: tuple[Notice, ...] = ()
    # Of the receivers only PagerDuty keeps an incident that can be acknowledged.
    targets = tuple(target for target in informed(rule, group) if target.kind == "pagerduty")
    if targets and group.notified_ns:
        severity = severity_of(rule, group.level)
        number = group.notices + 1
        notices = (
            Notice(
                "acknowledged",
                name,
                group.episode,
                number,
                severity,
                group.value,
                group.since_ns,
                targets,
                {"user": command.user, "note": command.text},
                group.status,
            ),
        )
    group = replace(group, acknowledged=acknowledgement, notices=group.notices + len(notices))
    return Step(state.with_group(name, group), (entry,), notices)


def _unacknowledge(rule: Rule, state: RuleState, name: str, group: GroupState, command: Command) -> Step:
    if group.acknowledged is None:
        return Step(state)
    group = replace(group, acknowledged=None)
    return Step(state.with_group(name, group), (Entry("unacknowledged", name, {"user": command.user}),))

"""The state of a rule between two evaluations: everything that a restart must find again, as JSON."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Status = Literal["ok", "alerting", "no_data"]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody takes care of an episode, until then or until it ends."""

    user: str
    at_ns: int
    until_ns: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class GroupState:
    """One group. An *episode* lasts from leaving `ok` to the return to it; its number is the window's end
    that began it.

    `notified_ns` is the last notice of this episode, `last_notified_ns` of any; `owed` a notice not yet sent.
    """

    status: Status = "ok"
    level: int = 0
    value: float | None = None
    since_ns: int = 0
    seen_ns: int = 0
    pending_count: int = 0
    pending_level: int = 0
    pending_rising: bool = False
    empty_windows: int = 0
    episode: int = 0
    last_triggered_ns: int = 0
    owed: bool = False
    urgent: bool = False  # a higher severity: neither cooldown nor acknowledgement hold it back
    held: str = ""  # why the owed notice was not sent
    notices: int = 0  # of this episode
    notified_ns: int = 0
    last_notified_ns: int = 0
    acknowledged: Acknowledgement | None = None
    escalation_step: int = 0
    escalation_round: int = 0
    escalation_due_ns: int | None = None
    escalation_informed: int = 0  # steps that were told


@dataclass(frozen=True, slots=True)
class RuleState:
    """All groups of a rule, and what concerns it as a whole."""

    revision: int = 0
    evaluated_until_ns: int = 0
    evaluated_at_ns: int = 0
    commands_until: int = 0  # the last command that was applied
    errors: int = 0  # evaluations that failed, in a row
    error: str = ""
    error_episode: int = 0
    error_owed: bool = False
    error_notices: int = 0
    muted_until_ns: int | None = None  # 0: until it is unmuted
    mute_reason: str = ""
    more_groups: bool = False
    group_by: str | None = None  # what the groups are values of
    groups: dict[str, GroupState] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The worst of all: error, alerting, no_data or ok."""
        if self.error_episode:
            return "error"
        found = {group.status for group in self.groups.values()}
        return next((status for status in ("alerting", "no_data") if status in found), "ok")

    @property
    def worst(self) -> GroupState:
        """The group that the rule is shown by: the highest severity, then the latest trigger."""
        order = {"ok": 0, "no_data": 1, "alerting": 2}
        return max(
            self.groups.values(),
            key=lambda group: (order[group.status], group.level, group.last_triggered_ns),
            default=GroupState(),
        )

    @property
    def last_triggered_ns(self) -> int:
        """When any group began to alert last; 0 for never."""
        return max((group.last_triggered_ns for group in self.groups.values()), default=0)

    def with_group(self, name: str, group: GroupState) -> "RuleState":
        """The same with one group replaced."""
        return replace(self, groups={**self.groups, name: group})


def state_to_json(state: RuleState) -> str:
    """As the journal keeps it."""
    return json.dumps(asdict(state), separators=(",", ":"), ensure_ascii=False)


def state_from_json(text: str) -> RuleState:
    """The state that was kept; fields of a later version are left out, those of an earlier one have their
    defaults.
    """
    content = _known(RuleState, json.loads(text))
    groups = {}
    for name, each in content.pop("groups", {}).items():
        fields = _known(GroupState, each)
        if fields.get("acknowledged"):
            fields["acknowledged"] = Acknowledgement(**_known(Acknowledgement, fields["acknowledged"]))
        groups[name] = GroupState(**fields)
    return RuleState(**content, groups=groups)


def _known(kind: Any, content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name in kind.__dataclass_fields__}

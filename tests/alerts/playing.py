"""Plays windows, commands and time to a rule, and keeps what it says."""

from dataclasses import dataclass, field

from alerts.commands import Command, CommandKind, apply_command
from alerts.evaluation import Evaluation, Reading
from alerts.machine import Entry, Notice, Step, apply_evaluation
from alerts.rule import SECOND_NS, Rule
from alerts.state import RuleState, state_from_json, state_to_json
from alerts.telling import advance
from tests.alerts.making import BEGIN_NS, MINUTE_NS

EMPTY = "empty"  # a window without a log


@dataclass
class Play:
    """A rule at a moment; after each step its state goes through JSON, as it does over a restart."""

    rule: Rule
    now_ns: int = BEGIN_NS
    state: RuleState = field(default_factory=RuleState)
    entries: list[Entry] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    maintenance: str | None = None

    def see(self, *values: float | str | dict[str, float], error: str | None = None) -> list[str]:
        """Evaluate these windows one interval after the other; the notices of all of them, by kind."""
        said: list[str] = []
        for value in values or ("",):
            self.now_ns += self.rule.interval_ns
            until_ns = self.now_ns
            groups = {}
            if isinstance(value, dict):
                groups = {name: Reading(each, False) for name, each in value.items()}
            elif error is None:
                empty = value == EMPTY
                reading = (
                    None
                    if empty and self.rule.condition.kind == "percentage"
                    else 0.0
                    if empty
                    else float(value)
                )
                groups = {"": Reading(reading, empty)}
            evaluation = Evaluation(until_ns - MINUTE_NS, until_ns, groups, error)
            said += self._take(apply_evaluation(self.rule, self.state, evaluation, self.now_ns))
        return said

    def wait(self, seconds: float) -> list[str]:
        """Let time pass without an evaluation."""
        self.now_ns += int(seconds * SECOND_NS)
        return self._take(Step(self.state))

    def do(
        self, kind: CommandKind, *, user: str = "ann", seconds: float | None = None, group: str = ""
    ) -> list[str]:
        """Carry out a command now."""
        self.now_ns += 1
        until_ns = None if seconds is None else self.now_ns + int(seconds * SECOND_NS)
        episode = self.state.groups[group].episode if group in self.state.groups else 0
        command = Command(self.now_ns, kind, user, "", until_ns, ((group, episode),))
        return self._take(apply_command(self.rule, self.state, command))

    def whys(self) -> list[str]:
        """Why notices were not sent."""
        return [entry.detail["why"] for entry in self.entries if entry.kind == "not_sent"]

    def _take(self, step: Step) -> list[str]:
        step = step.then(advance(self.rule, step.state, self.now_ns, self.maintenance))
        self.state = state_from_json(state_to_json(step.state))
        assert self.state == step.state
        self.entries += step.entries
        self.notices += step.notices
        return [notice.kind for notice in step.notices]

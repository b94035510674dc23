"""A rule at work: looks at the windows that are due, writes what followed into the journal, then says so.

State, history and notices of an evaluation are one insert. Before it nothing has happened, after it
everything has: a crash at any moment loses nothing and repeats nothing.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from alerts.commands import apply_command
from alerts.evaluation import Evaluation
from alerts.journal import Journal, Row, Store, notice_key
from alerts.machine import Entry, Notice, Step, apply_evaluation
from alerts.maintenance import open_window
from alerts.notice import Links, notice_content
from alerts.order import RuleOrder
from alerts.schedule import Due, SteadyClock, Window, due_windows, next_due_at_ns
from alerts.state import RuleState
from alerts.statements import evaluate, sample_logs
from alerts.telling import advance, next_due_ns
from core.errors import StorageError

WRITE_INTERVAL_NS: Final = (
    30 * 10**9
)  # of a state in which nothing happened; a restart evaluates again from there
SUMMARY_INTERVAL_NS: Final = 300 * 10**9  # of the evaluations' summary in the history
TICK_NS: Final = 15 * 10**9  # maintenance windows begin and end without telling anybody
SAMPLED_GROUPS_MAX: Final = 20  # of one evaluation; notices of further groups come without logs

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Summary:
    """Of the evaluations since the last one in the history."""

    since_ns: int = 0
    evaluations: int = 0
    failures: int = 0
    value_min: float | None = None
    value_max: float | None = None
    slowest_s: float = 0.0
    latest_s: float = 0.0

    def add(self, evaluation: Evaluation, took_s: float, late_s: float) -> None:
        """Count one more."""
        self.evaluations += 1
        self.failures += evaluation.error is not None
        self.slowest_s, self.latest_s = max(self.slowest_s, took_s), max(self.latest_s, late_s)
        for reading in evaluation.groups.values():
            if reading.value is not None:
                self.value_min = (
                    reading.value if self.value_min is None else min(self.value_min, reading.value)
                )
                self.value_max = (
                    reading.value if self.value_max is None else max(self.value_max, reading.value)
                )

    def entry(self) -> Entry:
        """As a line of the history."""
        return Entry(
            "evaluated",
            "",
            {
                "evaluations": self.evaluations,
                "failures": self.failures,
                "value_min": self.value_min,
                "value_max": self.value_max,
                "slowest_ms": round(self.slowest_s * 1000, 1),
                "latest_ms": round(self.latest_s * 1000, 1),
            },
        )


class Runner:
    """One rule; everything blocks, and raises StorageError when the store fails: then nothing has happened
    yet.
    """

    def __init__(self, order: RuleOrder, store: Store, clock: SteadyClock) -> None:
        self._store, self._clock = store, clock
        self.order = order
        self._journal = Journal(store, order.history_days)
        self.state: RuleState | None = None  # not read yet
        self._written_ns = 0
        self._stamp_ns = (
            0  # of the last row: what happened later sorts later, also within one look of the clock
        )
        self._window = Window(0, 0)  # the last one that was evaluated
        self._new_values: dict[str, list[str]] = {}
        self._summary = Summary()
        self.evaluations = self.failures = 0
        self.latest_s = 0.0  # since it was last asked for

    def take(self, order: RuleOrder) -> None:
        """Go on with another version of the rule."""
        self.order = order
        self._journal = Journal(self._store, order.history_days)

    def next_ns(self) -> int:
        """When `run_due` has something to do again."""
        assert self.state is not None
        rule, now_ns = self.order.rule, self._clock.now_ns()
        times = [next_due_at_ns(rule, self.state.evaluated_until_ns), now_ns + TICK_NS]
        due_ns = next_due_ns(rule, self.state, now_ns)
        return min(times if due_ns is None else [*times, due_ns])

    def run_due(self, *, look_for_commands: bool) -> bool:
        """Do what is due; True when there are notices to send."""
        if self.state is None:
            self.state = self._journal.state(self.order.rule.id)
            until_ns = self.state.evaluated_until_ns
            self._window = Window(until_ns - self.order.rule.condition.window_ns, until_ns)
            look_for_commands = True
        told = False
        if look_for_commands:
            told |= self._run_commands()
        due = due_windows(self.order.rule, self.state.evaluated_until_ns, self._clock.now_ns())
        if due.skipped:
            self._skip(due)
        for window in due.windows:
            told |= self._run_window(window)
        if not due.windows:
            told |= self._commit(Step(self.state), f"{self._clock.now_ns():020d}-time")
        return told

    def _run_commands(self) -> bool:
        assert self.state is not None
        rule, told = self.order.rule, False
        commands = self._journal.commands({rule.id: self.state.commands_until})
        for command in commands.get(rule.id, ()):
            step = apply_command(rule, self.state, command)
            told |= self._commit(step, f"{command.version:020d}-command", force=True)
        return told

    def _skip(self, due: Due) -> None:
        assert self.state is not None
        skipped_from_ns = self.state.evaluated_until_ns
        detail = {"windows": due.skipped, "from_ns": skipped_from_ns, "until_ns": due.skipped_until_ns}
        state = replace(self.state, evaluated_until_ns=due.skipped_until_ns)
        self._commit(Step(state, (Entry("skipped", "", detail),)), f"{due.skipped_until_ns:020d}-skipped")

    def _run_window(self, window: Window) -> bool:
        assert self.state is not None
        rule, began_ns = self.order.rule, self._clock.now_ns()
        late_s = max(0.0, (began_ns - window.until_ns - rule.delay_ns) / 1e9)
        evaluation = evaluate(self._store, rule, self.order.statements, window, self.order.timeout_s)
        took_s = (self._clock.now_ns() - began_ns) / 1e9
        self._window = window
        self._new_values = {name: list(reading.new_values) for name, reading in evaluation.groups.items()}
        step = apply_evaluation(rule, self.state, evaluation, self._clock.now_ns())
        self.evaluations += 1
        self.failures += evaluation.error is not None
        self.latest_s = max(self.latest_s, late_s)
        self._summary.add(evaluation, took_s, late_s)
        return self._commit(step, f"{window.until_ns:020d}")

    def _commit(self, step: Step, scope: str, *, force: bool = False) -> bool:
        """Add what time asks for, write everything at once, and only then take the new state for true."""
        rule, now_ns = self.order.rule, self._clock.now_ns()
        step = step.then(
            advance(rule, step.state, now_ns, open_window(self.order.maintenance, rule.id, now_ns))
        )
        happened = bool(step.entries or step.notices)
        if not (happened or force or now_ns - self._written_ns >= WRITE_INTERVAL_NS):
            self.state = step.state
            return False
        assert self.state is not None
        state = replace(step.state, revision=self.state.revision + 1)
        entries = [*step.entries, *self._summary_entry(now_ns)]
        at_ns = max(now_ns, self._stamp_ns + 1)
        rows = [self._journal.state_row(rule.id, state, at_ns)]
        rows += self._journal.entry_rows(rule.id, entries, scope, at_ns)
        rows += self._notice_rows(step.notices, at_ns)
        try:
            self._journal.write(rows)
        except StorageError:
            self.state = None  # whether it was written is not known: the journal will tell
            raise
        self.state, self._written_ns = state, now_ns
        self._stamp_ns = at_ns + max(len(entries), len(step.notices))
        return bool(step.notices)

    def _summary_entry(self, now_ns: int) -> list[Entry]:
        summary = self._summary
        if not summary.since_ns:
            summary.since_ns = now_ns
        if not summary.evaluations or now_ns - summary.since_ns < SUMMARY_INTERVAL_NS:
            return []
        self._summary = Summary(since_ns=now_ns)
        return [summary.entry()]

    def _notice_rows(self, notices: Sequence[Notice], at_ns: int) -> list[Row]:
        rows: list[Row] = []
        samples: dict[str, list[dict[str, Any]]] = {}
        for place, notice in enumerate(notices):
            if notice.kind in ("firing", "repeat", "escalation") and notice.group not in samples:
                samples[notice.group] = (
                    self._samples(notice.group) if len(samples) < SAMPLED_GROUPS_MAX else []
                )
            rows += notice_rows(
                self._journal,
                self.order,
                notice,
                self._window,
                at_ns + place,
                samples.get(notice.group, []),
                self._new_values.get(notice.group, []),
            )
        return rows

    def _samples(self, group: str) -> list[dict[str, Any]]:
        try:
            return sample_logs(
                self._store, self.order.rule, self.order.statements, self._window, group, self.order.timeout_s
            )
        except StorageError as error:
            # A notice without its logs is better than none.
            log.warning("cannot fetch sample logs: %s", error)
            return []


def notice_rows(
    journal: Journal,
    order: RuleOrder,
    notice: Notice,
    window: Window,
    at_ns: int,
    samples: list[dict[str, Any]],
    new_values: list[str],
) -> list[Row]:
    """A notice as rows of the journal, one for each target."""
    rule = order.rule
    links = Links(order.public_url).of(rule, window, notice.group)
    content = notice_content(rule, notice, window, at_ns, links, samples, new_values)
    rows = []
    for target in notice.targets:
        key = notice_key(rule.id, notice.group, notice.episode, notice.kind, notice.number, target.id)
        body = {
            "content": content,
            "target": {"id": target.id, "kind": target.kind, "config": dict(target.config)},
        }
        rows.append(journal.notice_row(rule.id, key, notice.group, body, at_ns))
    return rows

"""What a deleted or disabled rule had opened is closed: receivers are told that it is over.

Imported by the alert supervisor, and so by the rules' own processes: nothing large may come in here.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from alerts.definitions import Definition
from alerts.journal import Journal
from alerts.machine import close_all
from alerts.order import RuleOrder
from alerts.runner import notice_rows
from alerts.schedule import Window
from alerts.state import RuleState
from core.clock import Clock

if TYPE_CHECKING:
    from alerts.book import Book


class EndedRules:
    """Remembers which it has seen to; `open_book` gives the orders of definitions."""

    def __init__(
        self, journal: Journal, open_book: "Callable[[Sequence[Definition]], Book]", clock: Clock
    ) -> None:
        self._journal, self._open_book, self._clock = journal, open_book, clock
        self._closed: dict[str, int] = {}  # by version

    def among(self, definitions: Sequence[Definition]) -> dict[str, Definition]:
        """Those that have ended and were not seen to; their actors must be ended before they are closed."""
        return {
            each.id: each
            for each in definitions
            if each.kind == "rule"
            and (each.deleted or not each.body.get("enabled", True))
            and self._closed.get(each.id) != each.version
        }

    async def close(self, ended: dict[str, Definition], definitions: Sequence[Definition]) -> None:
        """End their episodes and write the notices of that."""
        if not ended:
            return
        states = await asyncio.to_thread(self._journal.states, list(ended))
        # Those whom an escalation has told are told too; the policy may have been deleted after the rule.
        policies = [replace(each, deleted=False) for each in definitions if each.kind == "policy"]
        for rule_id, state in states.items():
            definition = ended[rule_id]
            body = {**definition.body, "enabled": True}
            book = self._open_book([*policies, replace(definition, deleted=False, body=body)])
            if rule_id in book.orders:
                why = "the rule was deleted" if definition.deleted else "the rule was disabled"
                await asyncio.to_thread(self._close, book.orders[rule_id], state, why)
        self._closed |= {each.id: each.version for each in ended.values()}

    def _close(self, order: RuleOrder, state: RuleState, why: str) -> None:
        step = close_all(order.rule, state, why)
        if not step.entries and not state.evaluated_until_ns:
            return
        now_ns, journal = self._clock.now_ns(), self._journal
        # Should the rule be enabled again, it begins anew: the windows until then were not missed.
        closed = replace(
            step.state, revision=state.revision + 1, evaluated_until_ns=0, error_episode=0, errors=0, error=""
        )
        window = Window(state.evaluated_until_ns - order.rule.condition.window_ns, state.evaluated_until_ns)
        rows = [journal.state_row(order.rule.id, closed, now_ns)]
        rows += journal.entry_rows(order.rule.id, step.entries, f"{now_ns:020d}-ended", now_ns)
        for place, notice in enumerate(step.notices):
            rows += notice_rows(journal, order, notice, window, now_ns + place, [], [])
        journal.write(rows)

"""What searches have seen of the log table a moment ago: enough to guess how much time a slice must hold.

Nothing exact may be concluded from it: a wrong guess makes a page slower, not different.
"""

from collections import OrderedDict
from typing import Final

from core.clock import Clock
from query.plan.facts import Part

FORGET_PARTS_AFTER_S: Final = 1.0
FORGET_MATCHES_AFTER_S: Final = 60.0  # a dashboard asks again, a reader turns the page
QUERIES_MAX: Final = 1000


class Remembered:
    """The parts of the table, and how many logs of all match a query, for the next searches."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._parts: tuple[Part, ...] = ()
        self._parts_seen_s = 0.0
        self._matches: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def keep_parts(self, parts: tuple[Part, ...]) -> None:
        """They have just been seen."""
        self._parts, self._parts_seen_s = parts, self._clock.monotonic_s()

    def recall_parts(self) -> tuple[Part, ...]:
        """The parts; none when they were seen too long ago."""
        return self._parts if self._age_s(self._parts_seen_s) <= FORGET_PARTS_AFTER_S else ()

    def keep_matches(self, query: str, matches: int) -> None:
        """So many logs match, whatever their time."""
        self._matches[query] = matches, self._clock.monotonic_s()
        self._matches.move_to_end(query)
        if len(self._matches) > QUERIES_MAX:
            self._matches.popitem(last=False)

    def recall_matches(self, query: str) -> int | None:
        """How many matched; None when nobody has asked lately."""
        matches, seen_s = self._matches.get(query, (None, 0.0))
        return matches if self._age_s(seen_s) <= FORGET_MATCHES_AFTER_S else None

    def _age_s(self, seen_s: float) -> float:
        return self._clock.monotonic_s() - seen_s

"""The parts of the log table as they were a moment ago: enough to guess how much time a slice must hold."""

from typing import Final

from core.clock import Clock
from query.plan.facts import Part

FORGET_AFTER_S: Final = 1.0


class PartsMemory:
    """What the last search saw, for the next ones; nothing exact may be concluded from it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._parts: tuple[Part, ...] = ()
        self._seen_s = 0.0

    def keep(self, parts: tuple[Part, ...]) -> None:
        """They have just been seen."""
        self._parts, self._seen_s = parts, self._clock.monotonic_s()

    def recall(self) -> tuple[Part, ...]:
        """The parts; none when they were seen too long ago."""
        return self._parts if self._clock.monotonic_s() - self._seen_s <= FORGET_AFTER_S else ()

"""When a rule looks at which window: a grid of whole intervals since 1970, the same after every restart."""

import hashlib
from dataclasses import dataclass
from typing import Final

from alerts.rule import Rule
from core.clock import Clock

MADE_UP_MAX: Final = (
    100  # windows missed while down that are evaluated late; older ones are recorded as skipped
)
MILLISECOND_NS: Final = 1_000_000
CLOCK_STEP_NS: Final = 2_000_000_000  # the wall clock was set, rather than slewed, if it is off by more


@dataclass(frozen=True, slots=True)
class Window:
    """A window of logs, [from_ns, until_ns)."""

    from_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Due:
    """The windows to evaluate now, oldest first, and how many older ones are given up."""

    windows: tuple[Window, ...]
    skipped: int
    skipped_until_ns: int


def due_windows(rule: Rule, evaluated_until_ns: int, now_ns: int) -> Due:
    """What has become due since the last window; of a rule that never ran, the newest one."""
    newest_ns = _point_until(rule, now_ns - rule.delay_ns)
    # A rule whose interval was changed goes on from the next point of its new grid.
    first_ns = _point_until(rule, evaluated_until_ns) + rule.interval_ns if evaluated_until_ns else newest_ns
    missed = (newest_ns - first_ns) // rule.interval_ns + 1
    if missed <= 0:
        return Due((), 0, 0)
    skipped = max(0, missed - MADE_UP_MAX)
    start_ns = first_ns + skipped * rule.interval_ns
    ends = range(start_ns, newest_ns + 1, rule.interval_ns)
    windows = tuple(Window(until_ns - rule.condition.window_ns, until_ns) for until_ns in ends)
    return Due(windows, skipped, start_ns - rule.interval_ns if skipped else 0)


def next_due_at_ns(rule: Rule, evaluated_until_ns: int) -> int:
    """When the window after the last one is due: its end and the rule's delay."""
    return _point_until(rule, evaluated_until_ns) + rule.interval_ns + rule.delay_ns


def phase_of(rule_id: str, interval_ns: int) -> int:
    """How far a rule's grid is moved: rules of one interval take turns rather than all ask at once."""
    digest = hashlib.blake2b(rule_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest) % interval_ns // MILLISECOND_NS * MILLISECOND_NS


def _point_until(rule: Rule, at_ns: int) -> int:
    """The last point of the rule's grid that is not after that moment."""
    return (at_ns - rule.phase_ns) // rule.interval_ns * rule.interval_ns + rule.phase_ns


class SteadyClock:
    """Wall time that runs as evenly as the monotonic clock; it follows the wall clock when that was set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall_ns, self._monotonic_s = clock.now_ns(), clock.monotonic_s()

    def now_ns(self) -> int:
        """Nanoseconds since 1970."""
        passed_ns = int((self._clock.monotonic_s() - self._monotonic_s) * 1e9)
        now_ns = self._wall_ns + passed_ns
        wall_ns = self._clock.now_ns()
        if abs(wall_ns - now_ns) > CLOCK_STEP_NS:
            self._wall_ns, self._monotonic_s = wall_ns, self._clock.monotonic_s()
            return wall_ns
        return now_ns

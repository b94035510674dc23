"""Intervals of histograms and the edges of their buckets.

Nanoseconds to hours are of fixed length; days, weeks, months, quarters and years follow the calendar of a
time zone, so that a day may have 23 or 25 hours. Buckets lie on a grid that does not depend on the request.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final

from query.times import SECOND_NS
from query.times import UNIT_NS as TIME_UNIT_NS

BUCKETS_MAX: Final = 10_000
AUTO_BUCKETS: Final = 100  # `auto` takes the shortest interval of its list with at most so many buckets

UNIT_NS: Final = {"ns": 1, "us": 1000, **TIME_UNIT_NS}

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INTERVAL = re.compile(r"(\d{0,12})\s*([A-Za-zµ]+)")
_MONTHS: Final = {"M": 1, "q": 3, "y": 12}
_NAMES: Final = {
    "ns": ("nanosecond", "nanoseconds"),
    "us": ("µs", "microsecond", "microseconds"),
    "ms": ("millisecond", "milliseconds"),
    "s": ("sec", "second", "seconds"),
    "m": ("min", "minute", "minutes"),
    "h": ("hour", "hours"),
    "d": ("day", "days"),
    "w": ("week", "weeks"),
    "M": ("mo", "month", "months"),
    "q": ("quarter", "quarters"),
    "y": ("year", "years"),
}
_UNITS: Final = {name: unit for unit, names in _NAMES.items() for name in (unit, *names)}


@dataclass(frozen=True, slots=True)
class Interval:
    """So many of a unit: ns us ms s m h d w M q y."""

    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def shortest_ns(self) -> int:
        """The least that a bucket lasts."""
        if self.unit in _MONTHS:
            return self.count * _MONTHS[self.unit] * 28 * UNIT_NS["d"]
        return self.count * UNIT_NS[self.unit]


AUTO: Final = (
    *(Interval(n, "ms") for n in (1, 10, 100)),
    *(Interval(n, "s") for n in (1, 5, 10, 30)),
    *(Interval(n, "m") for n in (1, 5, 10, 30)),
    *(Interval(n, "h") for n in (1, 3, 12)),
    *(Interval(n, "d") for n in (1, 7)),
    *(Interval(n, "M") for n in (1, 3)),
    Interval(1, "y"),
    Interval(10, "y"),
)


def parse_interval(text: str) -> Interval:
    """`15m`, `1 hour`, `month`, `1M`. Raises ValueError with the reason."""
    match = _INTERVAL.fullmatch(text.strip())
    unit = _UNITS.get(match[2]) or _UNITS.get(match[2].lower()) if match else None
    if match is None or unit is None:
        raise ValueError("is not an interval: write a number and one of ns us ms s m h d w M q y, or auto")
    count = int(match[1] or 1)
    if not 1 <= count <= 10**9:
        raise ValueError("must be between 1 and 1000000000 units")
    return Interval(count, unit)


def auto_interval(span_ns: int) -> Interval:
    """The shortest round interval that cuts so long a time into at most about AUTO_BUCKETS."""
    return next((step for step in AUTO if span_ns <= step.shortest_ns * AUTO_BUCKETS), AUTO[-1])


def bucket_edges(from_ns: int, until_ns: int, interval: Interval, zone: tzinfo) -> tuple[int, ...]:
    """The starts of all buckets that [from_ns, until_ns) touches, and the end of the last one, in ns.

    Raises ValueError when there would be more than BUCKETS_MAX.
    """
    if (until_ns - from_ns) // interval.shortest_ns >= BUCKETS_MAX:
        raise ValueError(f"gives more than {BUCKETS_MAX} buckets: take a longer interval or a shorter range")
    edges = []
    for edge in _edges(from_ns, interval, zone):
        edges.append(edge)
        if edge >= until_ns and len(edges) > 1:
            break
    return tuple(edges)


def even_width_ns(edges: tuple[int, ...]) -> int | None:
    """The length of every bucket when all last equally long."""
    width = edges[1] - edges[0]
    return width if all(b - a == width for a, b in pairwise(edges)) else None


def _edges(from_ns: int, interval: Interval, zone: tzinfo) -> Iterator[int]:
    """Edges from the last one that is not after `from_ns`, without end."""
    local = (_EPOCH + timedelta(seconds=from_ns // SECOND_NS)).astimezone(zone)
    if interval.unit in _MONTHS:
        step = interval.count * _MONTHS[interval.unit]
        month = ((local.year - 1970) * 12 + local.month - 1) // step * step
        while True:
            yield _midnight_ns(date(1970 + month // 12, month % 12 + 1, 1), zone)
            month += step
    if interval.unit in ("d", "w"):
        step = interval.count * (7 if interval.unit == "w" else 1)
        monday = 4 if interval.unit == "w" else 0  # 1970-01-05 was the first Monday
        day = (local.toordinal() - _EPOCH_DAY - monday) // step * step + monday
        while True:
            yield _midnight_ns(date.fromordinal(_EPOCH_DAY + day), zone)
            day += step
    offset = local.utcoffset() or timedelta()
    offset_ns = (offset.days * 86400 + offset.seconds) * SECOND_NS
    width = interval.shortest_ns
    edge = (from_ns + offset_ns) // width * width - offset_ns
    while True:
        yield edge
        edge += width


def _midnight_ns(day: date, zone: tzinfo) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return round((midnight - _EPOCH).total_seconds()) * SECOND_NS

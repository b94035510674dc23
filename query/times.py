"""Times as they are written in queries and requests: ISO 8601, epoch numbers and `now-15m`.

A time that leaves out its end is a span: `2024-01-15` is that whole day, `2024-01-15T10:30` that minute.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from core.limits import TIMESTAMP_NS_MAX, TIMESTAMP_NS_MIN

SECOND_NS: Final = 1_000_000_000
UNIT_NS: Final = {
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "d": 86_400 * SECOND_NS,
    "w": 7 * 86_400 * SECOND_NS,
}

# An epoch number's unit is told by its size; below the first bound (1973 in seconds) a number is no time.
EPOCH_MIN: Final = 100_000_000
EPOCH_UNITS: Final = ((10**11, SECOND_NS), (10**14, 1_000_000), (10**17, 1000), (10**19, 1))

_EPOCH_NS = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:?\d\d)?)?)?",
    re.ASCII | re.IGNORECASE,
)
_EPOCH = re.compile(r"\d{9,19}(?:\.\d{1,9})?", re.ASCII)
_NOW = re.compile(r"now((?:[+-]\d{1,9}(?:ms|[smhdw]))*)(?:/([smhdw]))?", re.ASCII)
_STEP = re.compile(r"([+-])(\d+)(ms|[smhdw])")
_MONDAY_NS = 4 * UNIT_NS["d"]  # 1970-01-05


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open span of time, nanoseconds since 1970."""

    start_ns: int
    end_ns: int


def is_time(text: str) -> bool:
    """Whether the text names a time at whatever moment it is read."""
    return read_time(text, now_ns=0) is not None or _NOW.fullmatch(text) is not None


def read_time(text: str, now_ns: int) -> Span | None:
    """The span that the text names; None when it names none, or one outside the years 1970 to 2199."""
    span = _read_iso(text) or _read_epoch(text) or _read_now(text, now_ns)
    if span is None or not TIMESTAMP_NS_MIN <= span.start_ns < TIMESTAMP_NS_MAX:
        return None
    return span


def _read_iso(text: str) -> Span | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups()[:6])
    assert year is not None
    assert month is not None
    try:
        start = datetime(year, month, day or 1, hour or 0, minute or 0, second or 0, tzinfo=UTC)
        if day is None:
            end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
            return Span(_to_ns(start), _to_ns(end))
    except ValueError:
        return None
    fraction: str = match[7] or ""
    start_ns = _to_ns(start) + int(fraction.ljust(9, "0")) - _offset_ns(match[8])
    unit = "d" if hour is None else "h" if minute is None else "m" if second is None else "s"
    return Span(start_ns, start_ns + UNIT_NS[unit] // 10 ** len(fraction))


def _offset_ns(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return (-1 if zone[0] == "-" else 1) * minutes * UNIT_NS["m"]


def _to_ns(moment: datetime) -> int:
    return (moment - _EPOCH_NS) // timedelta(microseconds=1) * 1000


def _read_epoch(text: str) -> Span | None:
    if not _EPOCH.fullmatch(text):
        return None
    number = Decimal(text)
    if number < EPOCH_MIN:
        return None
    unit_ns = next((unit for bound, unit in EPOCH_UNITS if number < bound), None)
    if unit_ns is None:
        return None
    digits = len(text.partition(".")[2])
    start_ns = int(number * unit_ns)
    return Span(start_ns, start_ns + max(1, unit_ns // 10**digits))


def _read_now(text: str, now_ns: int) -> Span | None:
    match = _NOW.fullmatch(text)
    if match is None:
        return None
    start_ns = now_ns
    for sign, count, unit in _STEP.findall(match[1]):
        start_ns += (-1 if sign == "-" else 1) * int(count) * UNIT_NS[unit]
    if match[2] is None:
        return Span(start_ns, start_ns + 1)
    unit_ns, origin = UNIT_NS[match[2]], _MONDAY_NS if match[2] == "w" else 0
    start_ns -= (start_ns - origin) % unit_ns
    return Span(start_ns, start_ns + unit_ns)

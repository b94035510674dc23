"""Timestamps as senders write them, one at a time: ISO 8601 or a Unix epoch, to nanoseconds since 1970.

formats.timestamp_column does whole columns of the usual shapes at once and comes here for the rest.
"""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_DOWN, Context, Decimal
from functools import lru_cache
from typing import Final

from core.errors import RejectedRecord
from core.limits import TIMESTAMP_NS_MAX, TIMESTAMP_NS_MIN

NOT_A_TIME: Final = "timestamp: not a time"
OUT_OF_RANGE: Final = "timestamp: out of range"

TEXT_CHARACTERS_MAX: Final = 128
NS_PER_S: Final = 1_000_000_000
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# An epoch is told apart by its size. Each bound is about the year 5138 in its own unit and 1973 in the next,
# so that a number is never read in a unit that puts it near the present by mistake.
EPOCH_UNITS: Final = ((10**11, NS_PER_S), (10**14, 10**6), (10**17, 10**3))

_NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,4})?")
_ISO: Final = re.compile(
    r"(?P<date>[0-9]{4}[-0-9Ww]{3,6})"
    r"(?:(?:[Tt]|\s+)(?P<hour>[0-9]{2})"
    r"(?::?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?)?"
    r"\s*(?P<zone>[Zz]|[Uu][Tt][Cc]|[Gg][Mm][Tt]|(?P<sign>[+-])(?P<zone_hour>[0-9]{2}):?(?P<zone_minute>[0-9]{2})?)?)?"
)
_ORDINAL_DATE: Final = re.compile(r"([0-9]{4})-?([0-9]{3})")
_EXACT: Final = Context(prec=40, rounding=ROUND_DOWN)


def parse_timestamp(text: str) -> int:
    """Nanoseconds since 1970 of an ISO 8601 time or an epoch in s, ms, µs or ns, given as text.

    No offset means UTC; digits past the nanosecond are cut. Raises RejectedRecord.
    """
    text = text.strip()
    if len(text) > TEXT_CHARACTERS_MAX:
        raise RejectedRecord(NOT_A_TIME)
    if _NUMBER.fullmatch(text):
        return check_range(_epoch_ns(text))
    match = _ISO.fullmatch(text)
    if match is None:
        raise RejectedRecord(NOT_A_TIME)
    return check_range(_iso_ns(match))


def check_range(timestamp_ns: int) -> int:
    """The same time, if it lies within core.limits; else raises RejectedRecord."""
    if not TIMESTAMP_NS_MIN <= timestamp_ns < TIMESTAMP_NS_MAX:
        raise RejectedRecord(OUT_OF_RANGE)
    return timestamp_ns


def format_timestamp(timestamp_ns: int) -> str:
    """ISO 8601 in UTC with `Z`, with no digits of a second's fraction, 3, 6 or 9, as needed."""
    seconds, fraction_ns = divmod(timestamp_ns, NS_PER_S)
    whole = _whole_seconds(seconds)
    if not fraction_ns:
        return whole + "Z"
    digits = f"{fraction_ns:09d}"
    if digits.endswith("000000"):
        digits = digits[:3]
    elif digits.endswith("000"):
        digits = digits[:6]
    return f"{whole}.{digits}Z"


@lru_cache(4096)  # neighbouring logs are of the same second
def _whole_seconds(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def _epoch_ns(text: str) -> int:
    number = Decimal(text)
    if not TIMESTAMP_NS_MIN <= number < TIMESTAMP_NS_MAX:
        raise RejectedRecord(OUT_OF_RANGE)
    for bound, unit_ns in EPOCH_UNITS:
        if number < bound:
            return int(_EXACT.multiply(number, unit_ns))
    return int(number)


def _iso_ns(match: re.Match[str]) -> int:
    date_text, *clock, fraction, _, sign, offset_hour, offset_minute = match.groups()
    days = _days(date_text)
    hour, minute, second = [int(digits or 0) for digits in clock]
    # A leap second (60) counts as the first of the next minute; 24:00 is the end of its day.
    if minute > 59 or second > 60 or hour * 3600 + minute * 60 + second > 86400:
        raise RejectedRecord(NOT_A_TIME)
    seconds = days * 86400 + hour * 3600 + minute * 60 + second
    if sign:
        zone_hour, zone_minute = int(offset_hour), int(offset_minute or 0)
        if zone_hour > 23 or zone_minute > 59:
            raise RejectedRecord(NOT_A_TIME)
        offset_s = zone_hour * 3600 + zone_minute * 60
        seconds += offset_s if sign == "-" else -offset_s
    return seconds * NS_PER_S + (int(fraction[:9].ljust(9, "0")) if fraction else 0)


@lru_cache(4096)  # most logs are of a few days
def _days(text: str) -> int:
    """Days since 1970 of a calendar, week or ordinal date."""
    try:
        if ordinal := _ORDINAL_DATE.fullmatch(text):
            year, day = int(ordinal[1]), int(ordinal[2])
            first = date(year, 1, 1).toordinal()
            if not 1 <= day <= date(year, 12, 31).toordinal() - first + 1:
                raise RejectedRecord(NOT_A_TIME)
            return first + day - 1 - _EPOCH_ORDINAL
        return date.fromisoformat(text.upper()).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        raise RejectedRecord(NOT_A_TIME) from None

"""Instants as the answers write them: ISO 8601."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from query.times import SECOND_NS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso(ns: int, zone: tzinfo = UTC) -> str:
    """An instant (ns since 1970) in a time zone, with as many of 0, 3, 6 or 9 decimals as it needs."""
    seconds, fraction = divmod(ns, SECOND_NS)
    local = (_EPOCH + timedelta(seconds=seconds)).astimezone(zone).isoformat()
    text, offset = local[:19], local[19:25]
    if fraction:
        digits = f"{fraction:09d}"
        while digits.endswith("000"):
            digits = digits[:-3]
        text += "." + digits
    return text + ("Z" if offset == "+00:00" else offset)

"""Syslog's times: ISO 8601, and the ones without a year or a zone that RFC 3164 and devices write."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType
from typing import Final, NamedTuple

from core.errors import RejectedRecord
from formats.timestamps import NS_PER_S, check_range, parse_timestamp

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# Names that routers print; one that is not here counts as the zone of the settings.
_ZONE_HOURS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "UTC": 0,
        "GMT": 0,
        "Z": 0,
        "WET": 0,
        "BST": 1,
        "CET": 1,
        "CEST": 2,
        "EET": 2,
        "EEST": 3,
        "MSK": 3,
        "JST": 9,
    }
    | {"KST": 9, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}
    | {"AEST": 10, "AEDT": 11, "WEST": 1, "HKT": 8, "SGT": 8, "NZST": 12, "NZDT": 13}
)
_YEAR: Final = r"(?:19|20|21)[0-9]{2}"
# RFC 3164 section 4.1.2 and its kin: `Oct 11 22:14:15`, `*Mar  1 2024 00:00:45.371 UTC`, `Mon Jan 15 10:00:00
# 2024`.
_BSD: Final = re.compile(
    r"[*.]?(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +)?"
    rf"(?:(?P<year_before>{_YEAR}) +)?(?P<month>[A-Za-z]{{3}}) +(?P<day>[0-9]{{1,2}})"
    rf"(?:,? +(?P<year>{_YEAR}))?,? +"
    r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}))?(?:[.,](?P<fraction>[0-9]{1,9}))?"
    rf"(?:(?: +(?P<zone>{'|'.join(_ZONE_HOURS)})|(?: +[A-Z]{{2,5}}(?=:))"
    r"| *(?P<offset>[+-][0-9]{2}:?[0-9]{2}))(?=[ :]|$))?"
    rf"(?: +(?P<year_after>{_YEAR})(?=[ :]|$))?(?=[ :]|$)",
)
_ISO: Final = re.compile(
    r"[*.]?(?P<date>[0-9]{4}[-/][0-9]{2}[-/][0-9]{2})[Tt ]"
    r"(?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,20})?)"
    r"(?P<zone>[Zz]| ?[+-][0-9]{2}:?[0-9]{2}| (?:UTC|GMT)(?=[ :]|$))?(?=[ :]|$)"
)
# A device's clock may be ahead; what lies further in the future is of last year.
_AHEAD_NS: Final = 30 * 86_400 * NS_PER_S
_EPOCH: Final = re.compile(r"[0-9]{10}(?:\.[0-9]{1,9})?(?= |$)")


class Arrival(NamedTuple):
    """When a message came, in nanoseconds since 1970, and the zone of times that name none."""

    at_ns: int
    zone: tzinfo = UTC


class FoundTime(NamedTuple):
    """A time at the beginning of a text: None when it looks like one but is none, and where it ends."""

    timestamp_ns: int | None
    end: int


def find_time(text: str, at: int, arrival: Arrival) -> FoundTime | None:
    """The time that stands at a place of a text, in any form that devices send; None when there is none."""
    if match := _BSD.match(text, at):
        if match["month"].lower() not in _MONTHS:
            return None
        return FoundTime(_in_range(_bsd_ns(match, arrival)), match.end())
    if match := _ISO.match(text, at):
        return FoundTime(_iso_ns(match, arrival), match.end())
    if match := _EPOCH.match(text, at):
        return FoundTime(_parse(match[0]), match.end())
    return None


def _iso_ns(match: re.Match[str], arrival: Arrival) -> int | None:
    local_ns = _parse(f"{match['date'].replace('/', '-')}T{match['time']}{(match['zone'] or '').strip()}")
    if local_ns is None or match["zone"] or arrival.zone is UTC:
        return local_ns
    seconds, fraction_ns = divmod(local_ns, NS_PER_S)
    local = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=arrival.zone)
    return _in_range(_ns(local) + fraction_ns)


def _parse(text: str) -> int | None:
    try:
        return parse_timestamp(text)
    except RejectedRecord:
        return None


def _in_range(timestamp_ns: int | None) -> int | None:
    try:
        return None if timestamp_ns is None else check_range(timestamp_ns)
    except RejectedRecord:
        return None


def _bsd_ns(match: re.Match[str], arrival: Arrival) -> int | None:
    year = match["year_before"] or match["year"] or match["year_after"]
    month = _MONTHS.index(match["month"].lower()) + 1
    day, hour, minute, second = (int(match[part] or 0) for part in ("day", "hour", "minute", "second"))
    leap_s = second == 60
    zone = _zone(match, arrival.zone)
    fraction_ns = int((match["fraction"] or "0").ljust(9, "0"))
    candidates = []
    for candidate in [int(year)] if year else _years(arrival, month, day):
        try:
            local = datetime(candidate, month, day, hour, minute, second - leap_s, tzinfo=zone)
        except ValueError:
            continue
        candidates.append(_ns(local) + leap_s * NS_PER_S + fraction_ns)
    arrived = [ns for ns in candidates if ns <= arrival.at_ns + _AHEAD_NS]
    return max(arrived, default=min(candidates, default=None))


def _years(arrival: Arrival, month: int, day: int) -> range:
    """The years that may be meant: the last one that does not put the log far after its arrival is."""
    present = datetime.fromtimestamp(arrival.at_ns / NS_PER_S, UTC).year
    # A device whose clock is years off may say Feb 29 in any year.
    reach = 4 if (month, day) == (2, 29) else 1
    return range(present - reach, present + reach + 1)


def _zone(match: re.Match[str], default: tzinfo) -> tzinfo:
    if match["offset"]:
        digits = match["offset"].replace(":", "")
        offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5]))
        if offset >= timedelta(hours=24):
            return default
        return timezone(-offset if digits[0] == "-" else offset)
    if match["zone"]:
        return timezone(timedelta(hours=_ZONE_HOURS[match["zone"]]))
    return default


def _ns(moment: datetime) -> int:
    """Exact nanoseconds: a float of seconds has not enough digits."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S

"""What both syslog formats share: the PRI, the names of its parts, and a header as a log's columns."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import orjson

from core.levels import DEFAULT_LEVEL, SYSLOG_SEVERITY_LEVELS
from formats.attributes import flatten

# RFC 5424 section 6.2.1, the names of syslog(3) and of every syslog daemon's configuration.
SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
FACILITIES: Final = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"),
    *("ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3"),
    *("local4", "local5", "local6", "local7"),
)
# A structured data element of one of these names would hide the header's own field.
_OWN_NAMES: Final = frozenset(
    {"timestamp", "level", "service", "message", "facility", "severity", "hostname", "procid", "msgid"}
    | {"sequence", "original_timestamp"}
)

StructuredData = dict[str, dict[str, str | list[str]]]


class Header(NamedTuple):
    """A log but for its time and message: attribute names as stored, their values as JSON text."""

    level: str
    service: str
    names: list[str]
    values: list[str]
    shape: str


def priority_names(priority: int) -> tuple[str, str, str]:
    """Facility, severity and level of a PRI; a facility beyond the RFC's 24 is named by its number."""
    facility, severity = divmod(priority, 8)
    name = FACILITIES[facility] if facility < len(FACILITIES) else str(facility)
    return name, SEVERITIES[severity], SYSLOG_SEVERITY_LEVELS[severity]


def make_header(
    priority: int | None, service: str, fields: dict[str, str], structured_data: StructuredData | None = None
) -> Header:
    """The columns of a header: empty fields are left out, each SD-ID becomes an object of its parameters.

    Raises RejectedRecord when the structured data passes a limit of core.limits.
    """
    level = DEFAULT_LEVEL
    strings: dict[str, str] = {}
    if priority is not None:
        strings["facility"], strings["severity"], level = priority_names(priority)
    strings.update((name, text) for name, text in fields.items() if text)
    values = [orjson.dumps(text).decode() for text in strings.values()]
    if not structured_data:
        return Header(level, service, list(strings), values, "")
    members = {name: msgspec.Raw(value.encode()) for name, value in zip(strings, values, strict=True)}
    for sd_id, parameters in structured_data.items():
        name = f"_{sd_id}" if sd_id in _OWN_NAMES else sd_id
        members[name] = msgspec.Raw(orjson.dumps(parameters))
    return Header(level, service, *flatten(members))


def with_original_timestamp(header: Header, text: str) -> Header:
    """The same header, with the text of a time that cannot be read."""
    shape = header.shape and '{"original_timestamp":0,' + header.shape[1:]
    return header._replace(
        names=["original_timestamp", *header.names],
        values=[orjson.dumps(text).decode(), *header.values],
        shape=shape,
    )

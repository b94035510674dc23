"""RFC 3164 syslog as devices really send it: Cisco's, without host, tag or PRI, with ISO times…"""

import re
from typing import Final

from core.levels import SYSLOG_SEVERITY_LEVELS, normalise_level
from formats.syslog import BOM, Message
from formats.syslog_header import Header, make_header
from formats.syslog_time import Arrival, FoundTime, find_time

# Cisco: `45: R1: 000046: *Mar  1 …`, a message count, the origin and a sequence number, each optional.
_CISCO_ORIGIN: Final = re.compile(
    r"(?:(?P<count>[0-9]{1,10})?: )?(?:(?P<host>[A-Za-z][\w.-]{0,254}): )?(?:(?P<sequence>[0-9]{1,10}): )?"
)
# Cisco: `%ASA-6-302013: …`, `%LINK-3-UPDOWN: …`, `%SYS-SP-5-RESTART: …`, after a host or not.
_CISCO_CODE: Final = re.compile(
    r"(?:(?P<host>[^\s:%\[\]]{1,255}) ?:? )?"
    r"(?P<text>%(?P<msgid>(?P<facility>[A-Z0-9_]{1,64})(?:-[A-Z0-9_]{1,64}){0,3}-(?P<severity>[0-7])"
    r"-[A-Z0-9_]{1,128}): ?.*)",
    re.DOTALL,
)
# RFC 3164 section 4.1.3: `host tag[pid]: text`; the host may be missing, the tag may be a path.
_TAG: Final = r"(?P<tag>[^\s:\[\]<>{}\"']{1,128})(?:\[(?P<pid>[^\]\s]{1,64})\](?::|(?= ))|:)(?: |$)"
_HOST_AND_TAG: Final = re.compile(rf"(?:(?P<host>[^\s\[\]{{}}\"']{{0,254}}[^\s:\[\]{{}}\"',]) +)?{_TAG}")
_TAG_ALONE: Final = re.compile(_TAG)
# `last message repeated 3 times` and `-- MARK --` come from a daemon that names no host.
_HOST_ALONE: Final = re.compile(r"(?!last message repeated )(?=[\w:])(?P<host>[\w.:-]{0,254}[\w.-]) +(?=\S)")


def read_3164(priority: int, text: str, arrival: Arrival) -> Message:
    """Read what follows `<PRI>`: this never fails, a text without any known header is the message."""
    text = text.lstrip(" ")
    origin = _CISCO_ORIGIN.match(text)
    at = origin.end() if origin else 0
    found = find_time(text, at, arrival)
    if found is None:
        return _without_time(priority, text, arrival)
    fields = {}
    if origin:
        fields = {"hostname": origin["host"] or "", "sequence": origin["sequence"] or origin["count"] or ""}
    return _after_time(priority, text, at, found, fields, arrival)


def read_without_priority(text: str, arrival: Arrival) -> Message | None:
    """A line that begins with a time as syslog writes it; None when it does not."""
    if not text[:1].isalnum() and text[:1] not in ("*", "."):
        return None
    found = find_time(text, 0, arrival)
    if found is None or found.timestamp_ns is None or not text[found.end :].strip():
        return None
    if text[:1].isdigit():
        # `2024-01-15 10:00:00 INFO main: up` is any program's log: only a host and a tag say syslog.
        match = _HOST_AND_TAG.match(_past(text, found.end))
        if match is None or match["host"] is None or normalise_level(match["host"]) is not None:
            return None
    return _after_time(None, text, 0, found, {}, arrival)


def _after_time(
    priority: int | None, text: str, at: int, found: FoundTime, fields: dict[str, str], arrival: Arrival
) -> Message:
    rest = _past(text, found.end)
    if found.timestamp_ns is None:
        fields["original_timestamp"] = text[at : found.end]
    timestamp_ns = arrival.at_ns if found.timestamp_ns is None else found.timestamp_ns
    service = ""
    if code := _CISCO_CODE.match(rest):
        return Message(timestamp_ns, *_cisco(priority, code, fields))
    if match := _HOST_AND_TAG.match(rest):
        service = match["tag"]
        fields |= {"hostname": match["host"] or fields.get("hostname", ""), "procid": match["pid"] or ""}
        rest = rest[match.end() :]
    elif match := _HOST_ALONE.match(rest):
        fields["hostname"] = match["host"]
        rest = rest[match.end() :]
    return Message(timestamp_ns, make_header(priority, service, fields), rest.removeprefix(BOM))


def _without_time(priority: int, text: str, arrival: Arrival) -> Message:
    if code := _CISCO_CODE.match(text):
        return Message(arrival.at_ns, *_cisco(priority, code, {}))
    service, fields = "", {}
    if match := _TAG_ALONE.match(text):
        service, fields = match["tag"], {"procid": match["pid"] or ""}
        text = text[match.end() :]
    return Message(arrival.at_ns, make_header(priority, service, fields), text.removeprefix(BOM))


def _cisco(priority: int | None, code: re.Match[str], fields: dict[str, str]) -> tuple[Header, str]:
    """The text keeps its code: it is what people search for and what Cisco's manuals list."""
    fields = fields | {"hostname": code["host"] or fields.get("hostname", ""), "msgid": code["msgid"]}
    header = make_header(priority, code["facility"], fields)
    if priority is None:
        header = header._replace(level=SYSLOG_SEVERITY_LEVELS[int(code["severity"])])
    return header, code["text"]


def _past(text: str, at: int) -> str:
    """What follows a time: some devices end it with a colon."""
    return text[at:].lstrip(" ").removeprefix(":").lstrip(" ")

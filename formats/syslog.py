"""RFC 5424 syslog messages, one at a time and leniently: what breaks the RFC but can be read is read.

formats.syslog_columns does many regular messages at once and comes here for the rest.
"""

import re
from typing import Final, NamedTuple

from core.errors import RejectedRecord
from formats.syslog_header import Header, StructuredData, make_header
from formats.syslog_time import Arrival, find_time

BOM: Final = "\ufeff"
# RFC 5424 section 6.3, but `]` may stand unescaped in a value: some senders forget it.
_VALUE: Final = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_NAME: Final = r'[^ =\]"\[]+'
_PARAMETER: Final = re.compile(rf"({_NAME})=({_VALUE})", re.DOTALL)
_ELEMENT: Final = re.compile(rf"\[({_NAME})((?: +{_NAME}={_VALUE})*) *\]", re.DOTALL)
ELEMENT: Final = rf"\[{_NAME}(?: +{_NAME}={_VALUE})* *\]"
_NIL_END: Final = re.compile(r"-(?= |$)")
_ESCAPED: Final = re.compile(r'\\(["\\\]])')
_WORD: Final = r"(\S{1,255})"  # RFC 5424 section 6: a host name is the longest
_FIELDS: Final = re.compile(rf" *{_WORD} +{_WORD} +{_WORD} +{_WORD} *(?=\[|-(?: |$))")
_FIELDS_ALONE: Final = re.compile(
    rf" *{_WORD}(?= |$)(?: +{_WORD}(?= |$)(?: +(-|[0-9]{{1,128}})(?= |$)(?: +(-)(?= |$))?)?)?"
)
_TAG_AND_PID: Final = re.compile(r" *([^\s:\[\]]{1,128})\[([0-9]{1,10})\]:(?: |$)")
_DATE_LIKE: Final = re.compile(r"[0-9]{1,4}[-/.:]\S*|[A-Z][a-z]{2} +[0-9]+ +\S+")


class Message(NamedTuple):
    """A syslog message: nanoseconds since 1970, the columns of its header, and the text."""

    timestamp_ns: int
    header: Header
    text: str


def read_5424(priority: int, text: str, arrival: Arrival) -> Message | None:
    """Read what follows `<PRI>VERSION `; None when it is not RFC 5424 in any form.

    A time that cannot be read becomes the time of arrival, its text the field `original_timestamp`. The
    structured data may be missing or broken; broken, it stays in the text.
    """
    found = find_time(text, 0, arrival)
    if found is None:
        stamp, _, rest = text.partition(" ")
        timestamp_ns = None
        known = stamp == "-" or _DATE_LIKE.fullmatch(stamp)
    else:
        stamp, rest, timestamp_ns = text[: found.end], text[found.end :], found.timestamp_ns
        known = True
    fields = _FIELDS.match(rest)
    if fields is None:
        if not known:
            return None
        fields = _FIELDS_ALONE.match(rest)
        if fields is None:
            return _message(priority, ("", "", "", ""), {}, rest.lstrip(), stamp, timestamp_ns, arrival)
        return _without_structured_data(priority, fields, rest, stamp, timestamp_ns, arrival)
    structured_data, end = read_structured_data(rest, fields.end())
    return _message(
        priority, fields.groups(), structured_data, rest[end:].removeprefix(" "), stamp, timestamp_ns, arrival
    )


def read_structured_data(text: str, at: int) -> tuple[StructuredData, int]:
    """Structured data that begins at a place of a text, escapes undone, and where it ends.

    A parameter that is repeated becomes a list. What is no structured data ends where it began.
    """
    data: StructuredData = {}
    if nil := _NIL_END.match(text, at):
        return data, nil.end()
    while element := _ELEMENT.match(text, at):
        parameters = data.setdefault(element[1], {})
        for name, quoted in _PARAMETER.findall(element[2]):
            value = _ESCAPED.sub(r"\1", quoted[1:-1]) if "\\" in quoted else quoted[1:-1]
            present = parameters.get(name)
            if present is None:
                parameters[name] = value
            elif isinstance(present, list):
                present.append(value)
            else:
                parameters[name] = [present, value]
        at = element.end()
    return data, at


def _without_structured_data(
    priority: int, fields: re.Match[str], rest: str, stamp: str, timestamp_ns: int | None, arrival: Arrival
) -> Message:
    """`TIME HOST APP PROCID [MSGID] text` if a process id shows it, else `TIME HOST [TAG[PID]:] text`."""
    host, app, procid, msgid = fields.groups()
    if procid is not None:
        text = rest[fields.end() :].removeprefix(" ")
        return _message(priority, (host, app, procid, msgid), {}, text, stamp, timestamp_ns, arrival)
    text = rest[fields.end(1) :].removeprefix(" ")
    tag = _TAG_AND_PID.match(text)
    if tag is not None:
        groups = (host, tag[1], tag[2], None)
        return _message(priority, groups, {}, text[tag.end() :], stamp, timestamp_ns, arrival)
    return _message(priority, (host, None, None, None), {}, text, stamp, timestamp_ns, arrival)


def _message(
    priority: int,
    groups: tuple[str | None, ...],
    structured_data: StructuredData,
    text: str,
    stamp: str,
    timestamp_ns: int | None,
    arrival: Arrival,
) -> Message:
    hostname, app, procid, msgid = (group or "" for group in groups)
    fields = {"hostname": hostname, "procid": procid, "msgid": msgid}
    if timestamp_ns is None:
        timestamp_ns = arrival.at_ns
        fields["original_timestamp"] = stamp
    header = make_5424_header(priority, app, fields, structured_data)
    return Message(timestamp_ns, header, text.removeprefix(BOM))


def make_5424_header(
    priority: int, app: str, fields: dict[str, str], structured_data: StructuredData
) -> Header:
    """The columns of a header, its NILVALUE fields (`-`) left out.

    Structured data past a limit of names or fields is left out too: it must not cost the log.
    """
    fields = {name: "" if text == "-" else text for name, text in fields.items()}
    service = "" if app == "-" else app
    try:
        return make_header(priority, service, fields, structured_data)
    except RejectedRecord:
        return make_header(priority, service, fields)

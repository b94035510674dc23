"""Many syslog messages at once, as columns.

The headers of one sender repeat (host, program, process id): each different header is made once and Arrow
spreads it over its rows. What is not regular goes to formats.syslog and formats.syslog_3164, so that theirs
are the only rules.
"""

from __future__ import annotations  # Arrow's classes are generic to the type checker alone

import re
from collections.abc import Iterable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from core.limits import TIMESTAMP_NS_MAX, TIMESTAMP_NS_MIN
from core.log_batch import LOG_SCHEMA, NANOSECONDS, Received
from formats.columns import LogColumns
from formats.syslog import BOM, ELEMENT, Message, make_5424_header, read_5424, read_structured_data
from formats.syslog_3164 import read_3164, read_without_priority
from formats.syslog_header import Header, make_header, with_original_timestamp
from formats.syslog_time import Arrival, find_time

_PRIORITY: Final = re.compile(r"<([0-9]{1,3})>(?:[1-9][0-9]? (?! ))?")
_REGULAR_HEAD: Final = re.compile(r"<([0-9]{1,3})>1")
_STRUCTURED_DATA: Final = re.compile(rf"(?:{ELEMENT})+(?= |$)", re.DOTALL)
# `<34>Oct 11 22:14:15 host tag[pid]: text`, as syslog(3) and the daemons write it; no year, no zone as host.
_REGULAR_3164: Final = re.compile(
    r"<([0-9]{1,3})>([A-Z][a-z]{2} [ 0-9][0-9] [0-9:]{8}) (?!(?:[0-9]{4}|[A-Z]{1,5}) )([\w.-]+)"
    r" ([\w./()-]{1,48})(?:\[([0-9]{1,10})\])?: ",
    re.ASCII,
)
_TIMESTAMP: Final = LOG_SCHEMA.get_field_index("timestamp")
_MESSAGE: Final = LOG_SCHEMA.get_field_index("message")
_IRREGULAR: Final = -1
KNOWN_HEADERS_MAX: Final = 10_000  # about 10 MB
KNOWN_HEADER_CHARACTERS_MAX: Final = 1000


def read_syslog(text: str, arrival: Arrival) -> Message | None:
    """One message in any form; None for a line that is no syslog: no PRI, and no time as syslog has it."""
    match = _PRIORITY.match(text)
    if match is None:
        return read_without_priority(text, arrival)
    priority, text_3164 = int(match[1]), text[match.end(1) + 1 :]
    message = None
    if match.end() > match.end(1) + 1:
        message = read_5424(priority, text[match.end() :], arrival)
    return read_3164(priority, text_3164, arrival) if message is None else message


class KnownHeaders:
    """Headers of earlier batches: the same programs of the same hosts will send the next one."""

    def __init__(self) -> None:
        self._headers: dict[tuple[str | None, ...], Header] = {}
        self.get = self._headers.get

    def keep(self, key: tuple[str | None, ...], header: Header) -> None:
        """Remember a header, unless it is very long; when there are too many all are forgotten."""
        if sum(len(part or "") for part in key) > KNOWN_HEADER_CHARACTERS_MAX:
            return
        if len(self._headers) >= KNOWN_HEADERS_MAX:
            self._headers.clear()
        self._headers[key] = header


class SyslogColumns:
    """Syslog messages of one batch, in the order in which they were added."""

    def __init__(self, arrival: Arrival, earlier: KnownHeaders | None = None) -> None:
        self._arrival = arrival
        self._earlier = earlier or KnownHeaders()
        self._headers: list[Header] = []
        self._known: dict[tuple[str | None, ...], int] = {}
        self._forms: dict[tuple[str, ...], Header] = {}
        self._times_3164: dict[str, int] = {}
        self._header_of_row: list[int] = []
        self._times: list[int] = []
        self._messages: list[str] = []
        self._stamped_rows: list[int] = []  # their times are still text
        self._stamps: list[str] = []

    def add(self, texts: Iterable[str]) -> list[int]:
        """Add messages; return the positions of those that are no syslog."""
        strangers = []
        known, headers, times = self._known, self._header_of_row, self._times
        messages, stamped, stamps = self._messages, self._stamped_rows, self._stamps
        for position, text in enumerate(texts):
            parts = text.split(" ", 6)
            if len(parts) == 7 and parts[0][-2:] == ">1":
                head, stamp, host, app, procid, msgid, rest = parts
                data, end = "-", 2
                if rest != "-" and rest[:2] != "- ":
                    match = _STRUCTURED_DATA.match(rest)
                    data, end = (match[0], match.end() + 1) if match else ("", 0)
                key = (head, host, app, procid, msgid, data)
                header = known.get(key)
                if header is None:
                    header = known[key] = self._find_5424(key)
                # A stamp of several words is for the exact way.
                if header != _IRREGULAR and stamp[10:11] == "T":
                    stamped.append(len(times))
                    stamps.append(stamp)
                    headers.append(header)
                    times.append(0)
                    messages.append(rest[end:])
                    continue
            if not self._add_3164(text) and not self._add_odd(text):
                strangers.append(position)
        return strangers

    def build(self, received: Received) -> pa.RecordBatch:
        """The logs, every row marked with where it came from."""
        self._read_stamps()
        columns = LogColumns()
        for header in self._headers:
            columns.append(0, header.level, header.service, "", header.names, header.values, header.shape)
        logs: Any = columns.build_logs(received).take(pa.array(self._header_of_row, pa.int64()))
        messages = pa.array(self._messages, pa.string())
        if pc.any(pc.starts_with(messages, BOM)).as_py():
            messages = pa.array([text.removeprefix(BOM) for text in self._messages], pa.string())
        logs = logs.set_column(_TIMESTAMP, LOG_SCHEMA.field("timestamp"), pa.array(self._times, NANOSECONDS))
        logs = logs.set_column(_MESSAGE, LOG_SCHEMA.field("message"), messages)
        batch: pa.RecordBatch = logs
        return batch

    def _find_5424(self, key: tuple[str, str, str, str, str, str]) -> int:
        header = self._earlier.get(key)
        if header is not None:
            return self._number(header)
        number = self._make_5424(*key)
        if number != _IRREGULAR:
            self._earlier.keep(key, self._headers[number])
        return number

    def _make_5424(self, head: str, host: str, app: str, procid: str, msgid: str, data: str) -> int:
        """The number of a new header; _IRREGULAR for one that the exact way must read."""
        match = _REGULAR_HEAD.fullmatch(head)
        if match is None or not (host and app and procid and msgid and data):
            return _IRREGULAR
        # Between its quotes structured data varies from message to message; what is around them repeats.
        pieces = data.split('"')
        form = (head, host, app, procid, msgid, *pieces[0::2])
        plain_values = data.isprintable() and "\\" not in data
        known = self._forms.get(form) if plain_values else None
        if known is not None:
            fixed = len(known.names) - len(pieces) // 2
            values = known.values[:fixed] + [f'"{value}"' for value in pieces[1::2]]
            return self._number(known._replace(values=values))
        fields = {"hostname": host, "procid": procid, "msgid": msgid}
        structured_data, _ = read_structured_data(data, 0)
        header = make_5424_header(int(match[1]), app, fields, structured_data)
        if plain_values and header.values[len(header.values) - len(pieces) // 2 :] == [
            f'"{value}"' for value in pieces[1::2]
        ]:
            self._forms[form] = header
        return self._number(header)

    def _add_3164(self, text: str) -> bool:
        """Add a message of the one form that nearly all senders of RFC 3164 use."""
        match = _REGULAR_3164.match(text)
        if match is None:
            return False
        stamp = match[2]
        timestamp_ns = self._times_3164.get(stamp)
        if timestamp_ns is None:
            found = find_time(stamp, 0, self._arrival)
            if found is None or found.timestamp_ns is None:
                return False
            timestamp_ns = self._times_3164[stamp] = found.timestamp_ns
        priority, _, host, tag, pid = match.groups()
        key = (priority, host, tag, pid)
        header = self._known.get(key)
        if header is None:
            made = self._earlier.get(key)
            if made is None:
                made = make_header(int(priority), tag, {"hostname": host, "procid": pid or ""})
                self._earlier.keep(key, made)
            header = self._known[key] = self._number(made)
        self._append(header, timestamp_ns, text[match.end() :])
        return True

    def _add_odd(self, text: str) -> bool:
        message = read_syslog(text, self._arrival)
        if message is None:
            return False
        self._append(self._number(message.header), message.timestamp_ns, message.text)
        return True

    def _append(self, header: int, timestamp_ns: int, message: str) -> None:
        self._header_of_row.append(header)
        self._times.append(timestamp_ns)
        self._messages.append(message)

    def _number(self, header: Header) -> int:
        self._headers.append(header)
        return len(self._headers) - 1

    def _read_stamps(self) -> None:
        """Turn the times that are still text into nanoseconds: all at once, or one by one if one is odd."""
        stamps: Any = pa.array(self._stamps, pa.string())
        try:
            times = stamps.cast(NANOSECONDS).cast(pa.int64()).to_pylist()
        except pa.ArrowInvalid:
            times = [None] * len(self._stamps)
        for row, stamp, timestamp_ns in zip(self._stamped_rows, self._stamps, times, strict=True):
            if timestamp_ns is None or not TIMESTAMP_NS_MIN <= timestamp_ns < TIMESTAMP_NS_MAX:
                found = find_time(stamp, 0, self._arrival)
                timestamp_ns = found.timestamp_ns if found and found.end == len(stamp) else None
            if timestamp_ns is None:
                timestamp_ns = self._arrival.at_ns
                header = with_original_timestamp(self._headers[self._header_of_row[row]], stamp)
                self._header_of_row[row] = self._number(header)
            self._times[row] = timestamp_ns
        self._stamped_rows, self._stamps = [], []

"""Messages of all dialects and senders become one LogBatch: logs and dead letters in the order received.

A message that begins with `{` is JSON with the schema of HTTP, one that begins with a PRI or a time as syslog
has it is syslog. What is neither is a dead letter, or by the settings a plain log.
"""

from __future__ import annotations  # Arrow's classes are generic to the type checker alone

import logging
import re
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from core.errors import RejectedRecord
from core.levels import DEFAULT_LEVEL
from core.log_batch import DEAD_LETTER_SCHEMA, LOG_SCHEMA, LogBatch, Received
from formats.attributes import INVALID_JSON
from formats.columns import LogColumns
from formats.json_logs import parse_records
from formats.json_record import INVALID_UTF8, NOT_AN_OBJECT, read_record
from formats.syslog_columns import KnownHeaders, SyslogColumns, read_syslog
from formats.syslog_time import Arrival
from storage.wal.payload import merge

NEITHER: Final = "line: neither syslog nor JSON"
UNREADABLE: Final = "line: cannot be read"
# What these say of a line that begins like JSON is that it is none.
_NO_JSON: Final = frozenset({INVALID_JSON, INVALID_UTF8, NOT_AN_OBJECT})
_BRACE: Final = ord("{")
_UTF8_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n"
_STRAY_BYTES: Final = re.compile("[\udc80-\udcff]+")  # as surrogateescape marks them

log = logging.getLogger(__name__)


class Lines(NamedTuple):
    """Messages and, one for each, the address of its sender."""

    messages: list[bytes]
    source_ips: list[str]


class MessageReader:
    """Reads messages of one method (`tcp`, `udp`); `zone` is that of syslog times that name none."""

    def __init__(self, method: str, zone: tzinfo = UTC, *, plain_lines: bool = False) -> None:
        self._method, self._zone, self._plain_lines = method, zone, plain_lines
        self._known_headers = KnownHeaders()

    def read(self, lines: Lines, at_ns: int) -> LogBatch:
        """Read all; a message over which we stumble costs no other one."""
        try:
            return self._read(lines, at_ns)
        except Exception:
            if len(lines.messages) == 1:
                log.exception("cannot read a message: it becomes a dead letter")
                return self.dead_letter(UNREADABLE, lines.messages[0], lines.source_ips[0], at_ns)
        half = len(lines.messages) // 2
        return merge(
            self.read(Lines(messages, source_ips), at_ns)
            for messages, source_ips in (
                (lines.messages[:half], lines.source_ips[:half]),
                (lines.messages[half:], lines.source_ips[half:]),
            )
        )

    def dead_letter(self, reason: str, raw: bytes, source_ip: str, at_ns: int) -> LogBatch:
        """Bytes that are no message at all."""
        columns = LogColumns()
        columns.reject(reason, raw)
        return columns.build(Received(at_ns, source_ip, self._method))

    def _read(self, lines: Lines, at_ns: int) -> LogBatch:
        messages = lines.messages
        senders = set(lines.source_ips)
        received = Received(at_ns, senders.pop() if len(senders) == 1 else "", self._method)
        json_at = [at for at, message in enumerate(messages) if message[0] == _BRACE]
        rows = _Rows(received)
        if len(json_at) < len(messages):
            self._read_syslog(messages, _complement(json_at, len(messages)), rows)
        self._read_json(messages, json_at, rows)
        return rows.build(lines.source_ips if senders else None)

    def _read_json(self, messages: list[bytes], places: Sequence[int], rows: _Rows) -> None:
        if not places:
            return
        parsed = parse_records([messages[at] for at in places], rows.received)
        wrong = [place for place, _ in parsed.errors]
        rows.add(parsed.batch.logs, [places[place] for place in _complement(wrong, len(places))])
        for place, reason in parsed.errors:
            self._reject_json(places[place], reason, messages[places[place]], rows)

    def _reject_json(self, at: int, reason: str, message: bytes, rows: _Rows) -> None:
        if self._plain_lines and reason in _NO_JSON:
            rows.plain(at, message)
        else:
            rows.reject(at, reason, message)

    def _read_syslog(self, messages: list[bytes], places: Sequence[int], rows: _Rows) -> None:
        arrival = Arrival(rows.received.at_ns, self._zone)
        columns = SyslogColumns(arrival, self._known_headers)
        texts = [readable(messages[at]) for at in places]
        strangers = columns.add(texts)
        if len(strangers) < len(texts):
            syslog_at = [places[place] for place in _complement(strangers, len(texts))]
            rows.add(columns.build(rows.received), syslog_at)
        for stranger in strangers:
            self._read_stranger(messages[places[stranger]], places[stranger], arrival, rows)

    def _read_stranger(self, message: bytes, at: int, arrival: Arrival, rows: _Rows) -> None:
        """A line that is no syslog as it stands: a BOM or blanks may be before its beginning."""
        stripped = message.removeprefix(_UTF8_BOM).lstrip(_BLANK)
        if stripped.startswith(b"{"):
            try:
                rows.append(at, *read_record(stripped))
            except RejectedRecord as error:
                self._reject_json(at, error.reason, message, rows)
            return
        found = read_syslog(readable(stripped), arrival) if len(stripped) < len(message) else None
        if found is not None:
            level, service, *attributes = found.header
            rows.append(at, found.timestamp_ns, level, service, found.text, *attributes)
        elif self._plain_lines:
            rows.plain(at, message)
        else:
            rows.reject(at, NEITHER, message)


class _Rows:
    """Log rows and dead letters on their way into one batch, with the place in the input of each."""

    def __init__(self, received: Received) -> None:
        self.received = received
        self._odd = LogColumns()  # what is read one by one
        self._odd_at: list[int] = []
        self._rejected_at: list[int] = []
        self._parts: list[pa.RecordBatch] = []
        self._parts_at: list[int] = []

    def add(self, logs: pa.RecordBatch, at: Sequence[int]) -> None:
        assert logs.num_rows == len(at)
        self._parts.append(logs)
        self._parts_at += at

    def append(self, at: int, *columns: Any) -> None:
        """Add one log, its columns as LogColumns.append takes them."""
        self._odd.append(*columns)
        self._odd_at.append(at)

    def plain(self, at: int, message: bytes) -> None:
        self.append(at, self.received.at_ns, DEFAULT_LEVEL, "", readable(message), [], [])

    def reject(self, at: int, reason: str, message: bytes) -> None:
        self._odd.reject(reason, message)
        self._rejected_at.append(at)

    def build(self, source_ips: list[str] | None) -> LogBatch:
        """The batch in the order of the input; `source_ips` for each message of the input, if they differ."""
        if self._odd.logs or not self._parts:
            self.add(self._odd.build_logs(self.received), self._odd_at)
        logs: Any = self._parts[0]
        places = np.array(self._parts_at, np.int64)
        if len(self._parts) > 1:
            order = np.argsort(places)
            logs = pa.Table.from_batches(self._parts).combine_chunks().to_batches()[0].take(order)
            places = places[order]
        letters: Any = self._odd.build_dead_letters(self.received)
        if source_ips is not None:
            logs = _with_sources(logs, LOG_SCHEMA, [source_ips[at] for at in places.tolist()])
            letters = _with_sources(letters, DEAD_LETTER_SCHEMA, [source_ips[at] for at in self._rejected_at])
        return LogBatch(logs, letters)


def _complement(places: Sequence[int], count: int) -> Sequence[int]:
    """The places below `count` that are not these."""
    if not places:
        return range(count)
    known = set(places)
    return [at for at in range(count) if at not in known]


def _with_sources(rows: Any, schema: pa.Schema, source_ips: list[str]) -> Any:
    index = schema.get_field_index("source_ip")
    return rows.set_column(index, schema.field(index), pa.array(source_ips, pa.string()))


def readable(message: bytes) -> str:
    """UTF-8 where it is that; other bytes as Windows-1252 has them (é, ü, …), or else escaped."""
    try:
        return message.decode()
    except UnicodeDecodeError:
        return _STRAY_BYTES.sub(_as_windows_1252, message.decode(errors="surrogateescape"))


def _as_windows_1252(stray: re.Match[str]) -> str:
    return stray[0].encode(errors="surrogateescape").decode("cp1252", errors="backslashreplace")

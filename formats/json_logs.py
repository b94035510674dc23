"""A request's body as a LogBatch: a JSON array of logs, one log, or JSON lines."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from core.errors import MalformedBody, RejectedRecord, TooLarge
from core.limits import REQUEST_LOGS_MAX
from core.log_batch import LogBatch, Received
from formats.columns import LogColumns
from formats.json_record import is_json, read_record
from formats.surrogates import mend_surrogates

JSON_LINES_TYPES: Final = frozenset(
    f"application/{name}"
    for name in ("x-ndjson", "ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "stream+json")
)
T = TypeVar("T")

_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_ELEMENT: Final = msgspec.json.Decoder(msgspec.Raw)
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_POSITION: Final = re.compile(r" \(byte ([0-9]+)\)$")


@dataclass(frozen=True, slots=True)
class ParsedLogs:
    """The batch, the number of logs in it, and place (from 0) and reason of each record that is no log."""

    batch: LogBatch
    accepted: int
    errors: list[tuple[int, str]]


def parse_logs(content: bytes, content_type: str | None, received: Received) -> ParsedLogs:
    """Read 1 to REQUEST_LOGS_MAX logs: bad ones become dead letters and do not cost their neighbours.

    Objects one a line are taken as JSON lines whatever the Content-Type; blank lines count for nothing.
    Raises MalformedBody with the position, and TooLarge when there are more logs.
    """
    if content.startswith(_BOM):
        content = b"   " + content[len(_BOM) :]  # blanks, so that positions stay what the sender counts
    first = content.lstrip(_BLANK)[:1]
    if not first:
        raise MalformedBody("the body is empty", 0)
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type in JSON_LINES_TYPES:
        return parse_records(_lines(content), received)
    if first == b"[":
        return parse_records(_elements(content), received)
    if first != b"{":
        raise MalformedBody("the body is no JSON array of logs, no log and no JSON lines", 0)
    try:
        return parse_records([_one(content).strip(_BLANK)], received)
    except MalformedBody:
        line, newline, _ = content.lstrip(_BLANK).partition(b"\n")
        if newline and is_json(line):
            return parse_records(_lines(content), received)
        raise


def parse_records(raws: Sequence[bytes], received: Received) -> ParsedLogs:
    """Read records that are already told apart, such as a connection's lines."""
    columns = LogColumns()
    errors = []
    for index, raw in enumerate(raws):
        try:
            columns.append(*read_record(raw))
        except RejectedRecord as rejected:
            columns.reject(rejected.reason, raw)
            errors.append((index, rejected.reason))
    return ParsedLogs(columns.build(received), columns.logs, errors)


def unparseable(body: bytes, reason: str, received: Received) -> LogBatch:
    """A body that cannot be taken apart, as one dead letter."""
    columns = LogColumns()
    columns.reject(reason, body)
    return columns.build(received)


def _elements(content: bytes) -> list[bytes]:
    try:
        elements = _ELEMENTS.decode(content)
    except (msgspec.DecodeError, RecursionError):
        elements = _decode(_ELEMENTS, mend_surrogates(content))
    if not elements:
        raise MalformedBody("the body is an empty array", 0)
    if len(elements) > REQUEST_LOGS_MAX:
        raise TooLarge(f"the body has {len(elements)} logs, the limit is {REQUEST_LOGS_MAX}")
    return [bytes(element) for element in elements]


def _one(content: bytes) -> bytes:
    _decode(_ELEMENT, mend_surrogates(content))
    return content


def _lines(content: bytes) -> list[bytes]:
    lines = [line for line in (line.strip(_BLANK) for line in content.split(b"\n")) if line]
    if len(lines) > REQUEST_LOGS_MAX:
        raise TooLarge(f"the body has {len(lines)} logs, the limit is {REQUEST_LOGS_MAX}")
    return lines


def _decode(decoder: msgspec.json.Decoder[T], content: bytes) -> T:
    try:
        return decoder.decode(content)
    except RecursionError:
        raise MalformedBody("cannot parse the body as JSON: nested too deep") from None
    except msgspec.DecodeError as error:
        found = _POSITION.search(str(error))
        position = int(found[1]) if found else len(content)
        reason = _POSITION.sub("", str(error)).removeprefix("JSON is malformed: ")
        raise MalformedBody(f"cannot parse the body as JSON: {reason} at byte {position}", position) from None

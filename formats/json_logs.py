"""A request's body as a LogBatch: a JSON array of logs, one log, or JSON lines."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

import msgspec
import numpy as np
import pyarrow as pa

from core.errors import MalformedBody, RejectedRecord, TooLarge
from core.limits import RECORD_BYTES_MAX, REQUEST_FLATTENED_BYTES_MAX, REQUEST_LOGS_MAX
from core.log_batch import LogBatch, Received
from formats.columns import LogColumns, in_order
from formats.json_columns import read_records
from formats.json_record import is_json, is_utf8, read_record
from formats.json_scan import Positions
from formats.surrogates import mend_surrogates

JSON_LINES_TYPES: Final = frozenset(
    f"application/{name}"
    for name in ("x-ndjson", "ndjson", "jsonl", "x-jsonl", "jsonlines", "x-jsonlines", "stream+json")
)
# Fewer records are read sooner one by one.
FAST_WAY_FROM: Final = 40
_LINE_BREAK, _OPEN, _CLOSE = (ord(sign) for sign in "\n{}")
T = TypeVar("T")


class _Object(msgspec.Struct, gc=False):
    """Any JSON object: checked, and none of it kept."""


_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_OBJECT: Final = msgspec.json.Decoder(_Object)
_OBJECTS: Final = msgspec.json.Decoder(list[_Object])
_ELEMENT: Final = msgspec.json.Decoder(msgspec.Raw)
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_POSITION: Final = re.compile(r" \(byte ([0-9]+)\)$")


@dataclass(frozen=True, slots=True)
class ParsedLogs:
    """The batch, the number of logs in it, and place (from 0) and reason of each record that is no log."""

    batch: LogBatch
    accepted: int
    errors: list[tuple[int, str]]


class Regular(NamedTuple):
    """Valid JSON objects: their text, what joins them in it, and their places among all records."""

    text: bytes
    joint: bytes
    places: Positions


def parse_logs(content: bytes, content_type: str | None, received: Received) -> ParsedLogs:
    """Read 1 to REQUEST_LOGS_MAX logs: bad ones become dead letters and do not cost their neighbours.

    Objects one a line are taken as JSON lines whatever the Content-Type; blank lines count for nothing.
    Raises MalformedBody with the position, and TooLarge when there are more logs or they are too long as
    columns.
    """
    if content.startswith(_BOM):
        content = b"   " + content[len(_BOM) :]  # blanks, so that positions stay what the sender counts
    first = content.lstrip(_BLANK)[:1]
    if not first:
        raise MalformedBody("the body is empty", 0)
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type in JSON_LINES_TYPES:
        return _parse_lines(content, received)
    if first == b"[":
        return _parse_array(content, received)
    if first != b"{":
        raise MalformedBody("the body is no JSON array of logs, no log and no JSON lines", 0)
    try:
        return parse_records([_one(content).strip(_BLANK)], received, REQUEST_FLATTENED_BYTES_MAX)
    except MalformedBody:
        line, newline, _ = content.lstrip(_BLANK).partition(b"\n")
        if newline and is_json(line):
            return _parse_lines(content, received)
        raise


def parse_records(raws: Sequence[bytes], received: Received, bytes_max: int | None = None) -> ParsedLogs:
    """Read records that are already told apart, such as a connection's lines, whatever their number.

    Raises TooLarge when their columns would have more than `bytes_max`.
    """
    text, regular = b"\n".join(raws), np.arange(len(raws))
    if len(raws) < FAST_WAY_FROM:
        text, regular = b"", regular[:0]
    elif not _is_regular(text, len(raws)):
        regular = np.flatnonzero([_is_regular(raw, 1) for raw in raws])
        text = b"\n".join(raws[place] for place in regular.tolist())
    return _parse(Regular(text, b"\n", regular), lambda: raws, len(raws), received, bytes_max)


def _parse_lines(content: bytes, received: Received) -> ParsedLogs:
    text = content.strip(_BLANK)
    count = text.count(b"\n") + 1
    if FAST_WAY_FROM <= count <= REQUEST_LOGS_MAX and _is_regular(text, count):
        regular = Regular(text, b"\n", np.arange(count))
        return _parse(regular, lambda: text.split(b"\n"), count, received, REQUEST_FLATTENED_BYTES_MAX)
    return parse_records(_lines(content), received, REQUEST_FLATTENED_BYTES_MAX)


def _parse_array(content: bytes, received: Received) -> ParsedLogs:
    count = _count_objects(content)
    if count < FAST_WAY_FROM:
        return parse_records(_elements(content), received, REQUEST_FLATTENED_BYTES_MAX)
    _check_count(count)
    text = content.strip(_BLANK)[1:-1].strip(_BLANK)
    regular = Regular(text, b",", np.arange(count))
    return _parse(regular, lambda: _elements(content), count, received, REQUEST_FLATTENED_BYTES_MAX)


def _parse(
    regular: Regular,
    raws: Callable[[], Sequence[bytes]],
    count: int,
    received: Received,
    bytes_max: int | None,
) -> ParsedLogs:
    """Read the regular ones of `count` records from their joined text, and each that is left from its own."""
    rows: list[pa.RecordBatch] = []
    fast = regular.places
    if len(fast):
        logs, odd = read_records(regular.text, len(fast), regular.joint, received)
        fast = np.delete(fast, odd) if len(odd) else fast
        if len(fast):  # to join nothing with the others would copy them
            rows.append(logs)
    columns, errors, exact = LogColumns(), [], []
    size = sum(batch.nbytes for batch in rows)
    if len(fast) < count:
        all_raws = raws()
        for place in np.delete(np.arange(count), fast).tolist():
            try:
                record = read_record(all_raws[place])
                columns.append(*record)
                exact.append(place)
                if record.shape:
                    size += sum(map(len, record.names))
                    _check_size(size, bytes_max)
            except RejectedRecord as rejected:
                columns.reject(rejected.reason, all_raws[place])
                errors.append((place, rejected.reason))
    if exact or not rows:
        rows.append(columns.build_logs(received))
    logs = rows[0] if len(rows) == 1 else in_order(rows, np.concatenate([fast, exact]))
    batch = LogBatch(logs, columns.build_dead_letters(received))
    _check_size(batch.logs.nbytes + batch.dead_letters.nbytes, bytes_max)
    return ParsedLogs(batch, logs.num_rows, errors)


def _count_objects(content: bytes) -> int:
    """How many objects an array holds; 0 where the fast way does not apply."""
    if len(content) > RECORD_BYTES_MAX or not is_utf8(content):
        return 0
    try:
        return len(_OBJECTS.decode(content))
    except (msgspec.DecodeError, RecursionError):
        return 0


def _is_regular(text: bytes, count: int) -> bool:
    """Whether each of that many lines is one JSON object within the limit of its size."""
    signs = np.frombuffer(text, np.uint8)
    breaks = np.flatnonzero(signs == _LINE_BREAK)
    if len(breaks) != count - 1 or text[:1] != b"{" or text[-1:] != b"}" or not is_utf8(text):
        return False
    # No JSON value goes on with `{` after a `}`: so each line break lies between two values.
    if np.any(signs[breaks - 1] != _CLOSE) or np.any(signs[breaks + 1] != _OPEN):
        return False
    if (
        len(text) > RECORD_BYTES_MAX
        and np.diff(breaks, prepend=-1, append=len(text)).max() > RECORD_BYTES_MAX + 1
    ):
        return False
    try:
        return len(_OBJECT.decode_lines(text)) == count
    except (msgspec.DecodeError, RecursionError):
        return False


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
    _check_count(len(elements))
    return [bytes(element) for element in elements]


def _one(content: bytes) -> bytes:
    _decode(_ELEMENT, mend_surrogates(content))
    return content


def _lines(content: bytes) -> list[bytes]:
    lines = [line for line in (line.strip(_BLANK) for line in content.split(b"\n")) if line]
    _check_count(len(lines))
    return lines


def _check_count(count: int) -> None:
    if count > REQUEST_LOGS_MAX:
        raise TooLarge(f"the body has {count} logs, the limit is {REQUEST_LOGS_MAX}")


def _check_size(size: int, bytes_max: int | None) -> None:
    if bytes_max is not None and size > bytes_max:
        raise TooLarge(
            f"the logs have more than {bytes_max} bytes once their nested fields are flattened, "
            "send fewer at once"
        )


def _decode(decoder: msgspec.json.Decoder[T], content: bytes) -> T:
    try:
        return decoder.decode(content)
    except RecursionError:
        raise MalformedBody("cannot parse the body as JSON: nested too deep") from None
    except msgspec.DecodeError as error:
        found = _POSITION.search(str(error))
        position = int(found[1]) if found else len(content)
        reason = _POSITION.sub("", str(error)).removeprefix("JSON is malformed: ")
        if reason == "trailing characters":
            position -= 1  # msgspec names the place after the first of them
        raise MalformedBody(f"cannot parse the body as JSON: {reason} at byte {position}", position) from None

"""One JSON record, exactly: the fields of a log, or the reason why it is not one.

This is the way of TCP lines and of whatever formats.json_scan leaves aside. The rules for a log are here:
`timestamp` and `message` are required, `level` defaults to info and `service` to nothing (null counts as
missing); a `service` that is not a string is refused, a `level` may also be a number.
"""

from typing import Final, NamedTuple

import msgspec
import orjson

from core.errors import RejectedRecord
from core.levels import DEFAULT_LEVEL, normalise_level
from core.limits import RECORD_BYTES_MAX
from formats.attributes import INVALID_JSON, flatten, read_object
from formats.surrogates import mend_surrogates
from formats.timestamps import NOT_A_TIME, parse_timestamp

TOO_LARGE: Final = "record: too large"
INVALID_UTF8: Final = "record: not valid UTF-8"
NOT_AN_OBJECT: Final = "record: not an object"
NULL: Final = "null"


class Record(NamedTuple):
    """The arguments of LogColumns.append, in its order."""

    timestamp_ns: int
    level: str
    service: str
    message: str
    names: list[str]
    values: list[str]
    shape: str


def read_record(raw: bytes) -> Record:
    """Read one JSON object as a log. Raises RejectedRecord with the reason."""
    if len(raw) > RECORD_BYTES_MAX:
        raise RejectedRecord(TOO_LARGE)
    try:
        text = raw.decode().strip(" \t\r\n")
    except UnicodeDecodeError:
        raise RejectedRecord(INVALID_UTF8) from None
    if "\\u" in text:
        text = mend_surrogates(text.encode()).decode()
    if text[:1] != "{":
        raise RejectedRecord(NOT_AN_OBJECT if is_json(text) else INVALID_JSON)
    fields = read_object(text)
    timestamp_ns = _timestamp(_take(fields, "timestamp"))
    level = read_level(_take(fields, "level"))
    service = _service(_take(fields, "service"))
    message = _message(_take(fields, "message"))
    return Record(timestamp_ns, level, service, message, *flatten(fields))


def is_utf8(raw: bytes) -> bool:
    """Whether the bytes are valid UTF-8."""
    if raw.isascii():
        return True
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_json(text: str | bytes) -> bool:
    """Whether a text is one JSON value."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _take(fields: dict[str, msgspec.Raw], name: str) -> str:
    """Remove a field; its JSON text, null when missing."""
    value = fields.pop(name, None)
    return NULL if value is None else str(value, "utf-8")


def _timestamp(text: str) -> int:
    if text == NULL:
        raise RejectedRecord("timestamp: missing")
    if text[0] == '"':
        return parse_timestamp(_string(text))
    if text[0] in "-0123456789":
        return parse_timestamp(text)
    raise RejectedRecord(NOT_A_TIME)


def read_level(text: str) -> str:
    """The level that a field's JSON text means. Raises RejectedRecord."""
    if text == NULL:
        return DEFAULT_LEVEL
    if text[0] == '"':
        level = normalise_level(_string(text))
    elif text[0] in "-0123456789":
        level = normalise_level(text)
    else:
        raise RejectedRecord("level: not a string")
    if level is None:
        raise RejectedRecord("level: unknown")
    return level


def _service(text: str) -> str:
    if text == NULL:
        return ""
    if text[0] != '"':
        raise RejectedRecord("service: not a string")
    return _string(text)


def _message(text: str) -> str:
    if text == NULL:
        raise RejectedRecord("message: missing")
    if text[0] != '"':
        raise RejectedRecord("message: not a string")
    return _string(text)


def _string(text: str) -> str:
    """What a JSON string says."""
    decoded: str = orjson.loads(text) if "\\" in text else text[1:-1]
    return decoded

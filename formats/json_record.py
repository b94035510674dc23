"""One JSON record, exactly: the fields of a log, or the reason why it is not one.

This is the way of TCP lines and of whatever formats.json_scan leaves aside. The rules for a log are here:
`timestamp` and `message` are required, `level` defaults to info and `service` to nothing (null counts as
missing); a `service` that is not a string is refused, a `level` may also be a number.
"""

from typing import Final, NamedTuple

import msgspec
import orjson

from core.errors import RejectedRecord
from core.limits import RECORD_BYTES_MAX
from formats.attributes import INVALID_JSON, flatten, read_object
from formats.levels import DEFAULT_LEVEL, normalise_level
from formats.surrogates import mend_surrogates
from formats.timestamps import NOT_A_TIME, parse_timestamp

TOO_LARGE: Final = "record: too large"
INVALID_UTF8: Final = "record: not valid UTF-8"
NOT_AN_OBJECT: Final = "record: not an object"
NULL: Final = b"null"


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
        raw.decode()
    except UnicodeDecodeError:
        raise RejectedRecord(INVALID_UTF8) from None
    raw = raw.strip(b" \t\r\n")
    if not raw.startswith(b"{"):
        raise RejectedRecord(NOT_AN_OBJECT if is_json(mend_surrogates(raw)) else INVALID_JSON)
    fields = read_object(mend_surrogates(raw))
    timestamp_ns = _timestamp(_take(fields, "timestamp"))
    level = read_level(_take(fields, "level"))
    service = _service(_take(fields, "service"))
    message = _message(_take(fields, "message"))
    return Record(timestamp_ns, level, service, message, *flatten(fields))


def is_json(raw: bytes) -> bool:
    """Whether the bytes are one JSON value."""
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _take(fields: dict[str, msgspec.Raw], name: str) -> bytes:
    """Remove a field; its JSON text, null when missing."""
    value = fields.pop(name, None)
    return NULL if value is None else bytes(value)


def _timestamp(raw: bytes) -> int:
    if raw == NULL:
        raise RejectedRecord("timestamp: missing")
    if raw.startswith(b'"'):
        return parse_timestamp(orjson.loads(raw))
    if raw[0] in b"-0123456789":
        return parse_timestamp(raw.decode())
    raise RejectedRecord(NOT_A_TIME)


def read_level(raw: bytes) -> str:
    """The level that a field's JSON text means. Raises RejectedRecord."""
    if raw == NULL:
        return DEFAULT_LEVEL
    if raw.startswith(b'"'):
        level = normalise_level(orjson.loads(raw))
    elif raw[0] in b"-0123456789":
        level = normalise_level(raw.decode())
    else:
        raise RejectedRecord("level: not a string")
    if level is None:
        raise RejectedRecord("level: unknown")
    return level


def _service(raw: bytes) -> str:
    if raw == NULL:
        return ""
    if not raw.startswith(b'"'):
        raise RejectedRecord("service: not a string")
    service: str = orjson.loads(raw)
    return service


def _message(raw: bytes) -> str:
    if raw == NULL:
        raise RejectedRecord("message: missing")
    if not raw.startswith(b'"'):
        raise RejectedRecord("message: not a string")
    message: str = orjson.loads(raw)
    return message

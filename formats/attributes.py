"""A sender's additional fields as pairs of flattened key and JSON text, and the shape that nested them.

A value keeps its own text: numbers every digit, strings as orjson writes them. The shape of a log that has
nested objects is its JSON with every leaf replaced by `0`: it repeats from log to log and compresses well.
An empty object is a leaf, `{}`; an array is a leaf whatever it holds. Names are unique within a log, so that
the map may be read in any order: where two leaves would get one name (`{"a": {"b": 1}, "a.b": 2}`), the log's
objects stay whole, as leaves.
"""

from typing import Final, NamedTuple

import msgspec
import orjson

from core.errors import RejectedRecord
from core.limits import FIELD_NAME_BYTES_MAX, RECORD_FIELDS_MAX, RECORD_NESTING_MAX

INVALID_JSON: Final = "record: not valid JSON"
TOO_DEEP: Final = "record: nested too deep"
TOO_MANY_FIELDS: Final = "record: too many fields"
NAME_TOO_LONG: Final = "field name: too long"

METADATA_NAMES: Final = frozenset({"id", "ingested_at", "source_ip", "method", "highlights"})

_FIELDS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ELEMENTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
# An array without any of these is canonical: nothing nested, nothing escaped, no white space.
_REWRITTEN: Final = (b"[", b"{", b"\\", b" ", b"\n", b"\t", b"\r")


class Flattened(NamedTuple):
    """Keys and JSON texts of the leaves in the order sent; `shape` is empty when no object was nested."""

    names: list[str]
    values: list[str]
    shape: str


def stored_name(name: str) -> str:
    """A field's name as it is stored: one more underscore if it is a metadata name (`_id`, `__id`, …)."""
    if name.startswith("_") and name.lstrip("_") in METADATA_NAMES:
        return "_" + name
    return name


def read_object(raw: bytes) -> dict[str, msgspec.Raw]:
    """The members of one JSON object, values as their own text; of duplicate names the last one wins.

    Raises RejectedRecord. The caller has checked that the bytes are UTF-8.
    """
    try:
        return _FIELDS.decode(raw)
    except RecursionError:
        raise RejectedRecord(TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeError):
        raise RejectedRecord(INVALID_JSON) from None


def flatten(members: dict[str, msgspec.Raw]) -> Flattened:
    """The leaves below some members of an object. Raises RejectedRecord past a limit."""
    names: list[str] = []
    values: list[str] = []
    nested = False
    for name, value in members.items():
        raw = bytes(value)
        if raw.startswith(b"{") and read_object(raw):
            nested = True
            break
        names.append(_checked_name(stored_name(name)))
        values.append(canonical(raw, 1))
    shape = ""
    if nested:
        names, values = [], []
        shape = _flatten_into(names, values, "", {stored_name(name): raw for name, raw in members.items()}, 1)
        if len(set(names)) < len(names):
            names = [_checked_name(stored_name(name)) for name in members]
            values = [canonical(bytes(value), 1) for value in members.values()]
            shape = ""
    if len(names) > RECORD_FIELDS_MAX:
        raise RejectedRecord(TOO_MANY_FIELDS)
    return Flattened(names, values, shape)


def canonical(raw: bytes, depth: int) -> str:
    """The JSON text under which equal values are equal text: strings as orjson writes them, no white space.

    Numbers keep their digits. `depth` counts the objects and arrays around the value. Raises RejectedRecord.
    """
    first = raw[:1]
    if first == b'"':
        if b"\\" not in raw:
            return raw.decode()
        return orjson.dumps(_string(raw)).decode()
    if first in (b"[", b"{"):
        if depth >= RECORD_NESTING_MAX:
            raise RejectedRecord(TOO_DEEP)
        if first == b"{":
            members = read_object(raw)
            return (
                "{"
                + ",".join(f"{_text(k)}:{canonical(bytes(v), depth + 1)}" for k, v in members.items())
                + "}"
            )
        if any(mark in raw[1:] for mark in _REWRITTEN):
            return "[" + ",".join(canonical(bytes(v), depth + 1) for v in _ELEMENTS.decode(raw)) + "]"
    return raw.decode()


def _flatten_into(
    names: list[str], values: list[str], prefix: str, members: dict[str, msgspec.Raw], depth: int
) -> str:
    """Add the leaves of an object and return its shape."""
    if depth > RECORD_NESTING_MAX:
        raise RejectedRecord(TOO_DEEP)
    shapes = []
    for name, value in members.items():
        raw = bytes(value)
        if raw.startswith(b"{") and (inner := read_object(raw)):
            shape = _flatten_into(names, values, f"{prefix}{name}.", inner, depth + 1)
        else:
            names.append(_checked_name(prefix + name))
            values.append(canonical(raw, depth))
            shape = "0"
        shapes.append(f"{_text(name)}:{shape}")
        if len(names) > RECORD_FIELDS_MAX:
            raise RejectedRecord(TOO_MANY_FIELDS)
    return "{" + ",".join(shapes) + "}"


def _checked_name(name: str) -> str:
    if len(name) * 4 > FIELD_NAME_BYTES_MAX and len(name.encode()) > FIELD_NAME_BYTES_MAX:
        raise RejectedRecord(NAME_TOO_LONG)
    return name


def _string(raw: bytes) -> str:
    text: str = orjson.loads(raw)
    return text


def _text(name: str) -> str:
    return orjson.dumps(name).decode()

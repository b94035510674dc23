"""A sender's additional fields as pairs of flattened key and JSON text, and the shape that nested them.

A value keeps its own text: numbers every digit, strings as orjson writes them. The shape of a log that has
nested objects is its JSON with every leaf replaced by `0`: it repeats from log to log and compresses well.
An empty object is a leaf, `{}`; an array is a leaf whatever it holds. Names are unique within a log, so that
they may be read in any order: where two leaves would get one name (`{"a": {"b": 1}, "a.b": 2}`), the log's
objects stay whole, as leaves.
"""

import re
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
_REWRITTEN: Final = re.compile(r"[\[{\\ \n\t\r]")


class Flattened(NamedTuple):
    """Keys and JSON texts of the leaves in the order sent; `shape` is empty when no object was nested."""

    names: list[str]
    values: list[str]
    shape: str


def stored_name(name: str) -> str:
    """A field's name as it is stored: one more underscore if it is a metadata name (`_id`, `__id`, …)."""
    if name[:1] == "_" and name.lstrip("_") in METADATA_NAMES:
        return "_" + name
    return name


def read_object(text: str | bytes) -> dict[str, msgspec.Raw]:
    """The members of one JSON object, values as their own text; of duplicate names the last one wins.

    Raises RejectedRecord. Bytes are known to be UTF-8.
    """
    try:
        return _FIELDS.decode(text)
    except RecursionError:
        raise RejectedRecord(TOO_DEEP) from None
    except (msgspec.DecodeError, UnicodeError):
        raise RejectedRecord(INVALID_JSON) from None


def flatten(members: dict[str, msgspec.Raw]) -> Flattened:
    """The leaves below some members of an object. Raises RejectedRecord past a limit."""
    names = [stored_name(name) for name in members]
    texts = [str(value, "utf-8") for value in members.values()]
    for text in texts:
        if text[0] == "{" and read_object(text):
            nested = _flatten_objects(dict(zip(names, members.values(), strict=True)))
            if len(set(nested.names)) == len(nested.names):
                return nested
            break
    if len(names) > RECORD_FIELDS_MAX:
        raise RejectedRecord(TOO_MANY_FIELDS)
    if names and max(map(len, names)) * 4 > FIELD_NAME_BYTES_MAX:
        names = [_checked_name(name) for name in names]
    return Flattened(names, [canonical(text, 1) for text in texts], "")


def canonical(text: str, depth: int) -> str:
    """The JSON text under which equal values are equal text: strings as orjson writes them, no white space.

    Numbers keep their digits. `depth` counts the objects and arrays around the value. Raises RejectedRecord.
    """
    first = text[0]
    if first == '"':
        # Other escapes than these two are the ones that orjson writes.
        if "\\" not in text or ("\\u" not in text and "\\/" not in text):
            return text
        return orjson.dumps(orjson.loads(text)).decode()
    if first != "[" and first != "{":
        return text
    if depth >= RECORD_NESTING_MAX:
        raise RejectedRecord(TOO_DEEP)
    if first == "{":
        members = [
            f"{_text(name)}:{canonical(str(value, 'utf-8'), depth + 1)}"
            for name, value in read_object(text).items()
        ]
        return "{" + ",".join(members) + "}"
    if _REWRITTEN.search(text, 1):
        elements = _ELEMENTS.decode(text)
        return "[" + ",".join([canonical(str(value, "utf-8"), depth + 1) for value in elements]) + "]"
    return text


def _flatten_objects(members: dict[str, msgspec.Raw]) -> Flattened:
    names: list[str] = []
    values: list[str] = []
    shape = _flatten_into(names, values, "", members, 1)
    return Flattened(names, values, shape)


def _flatten_into(
    names: list[str], values: list[str], prefix: str, members: dict[str, msgspec.Raw], depth: int
) -> str:
    """Add the leaves of an object and return its shape."""
    if depth > RECORD_NESTING_MAX:
        raise RejectedRecord(TOO_DEEP)
    shapes = []
    for name, value in members.items():
        text = str(value, "utf-8")
        if text[0] == "{" and (inner := read_object(text)):
            shape = _flatten_into(names, values, f"{prefix}{name}.", inner, depth + 1)
        else:
            names.append(_checked_name(prefix + name))
            values.append(canonical(text, depth))
            shape = "0"
        shapes.append(f"{_text(name)}:{shape}")
        if len(names) > RECORD_FIELDS_MAX:
            raise RejectedRecord(TOO_MANY_FIELDS)
    return "{" + ",".join(shapes) + "}"


def _checked_name(name: str) -> str:
    if len(name) * 4 > FIELD_NAME_BYTES_MAX and len(name.encode()) > FIELD_NAME_BYTES_MAX:
        raise RejectedRecord(NAME_TOO_LONG)
    return name


def _text(name: str) -> str:
    return orjson.dumps(name).decode()

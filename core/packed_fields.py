"""The additional fields of a log as text: the one form in which they travel, are stored and indexed.

Each field is a pair `"name":value`, both JSON text, behind the separator U+001F, which JSON text never holds
as it stands. A pair is its own token of the text index, so `fields` has those that are short enough for one,
and `long_fields` the others: arrays, whose elements are tokens too, and values of whose beginning one is.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import orjson

SEPARATOR: Final = "\x1f"
TOKEN_VALUE_BYTES: Final = 128  # of a value's JSON text that its token holds

_BEGIN: Final = f'{SEPARATOR}"'  # of a pair
_MIDDLE: Final = '":'  # and between its name and its value
_NAME: Final = re.compile(r'((?:[^"\\]|\\.)*)":')
_ARRAY: Final = "["
_NAMES_CACHED: Final = 4096
_NAME_CHARACTERS_CACHED: Final = 100


class PackedFields(NamedTuple):
    """The two columns of one log."""

    fields: str
    long_fields: str


def pack_fields(names: Sequence[str], values: Iterable[str]) -> PackedFields:
    """The columns for stored names and the JSON texts of their values (formats.attributes)."""
    short: list[str] = []
    long: list[str] = []
    for name, value in zip(names, values, strict=True):
        (long if is_long(value) else short).append(prefix(name) + value)
    return PackedFields("".join(short), "".join(long))


def unpack_fields(packed: str) -> dict[str, str]:
    """Name → JSON text of the value, of one column or of both one after the other."""
    pairs = packed.split(_BEGIN)[1:]
    if "\\" in packed:
        return dict(map(_pair, pairs))
    return dict([pair.split(_MIDDLE, 1) for pair in pairs])


def is_long(value: str) -> bool:
    """Whether the JSON text of a value belongs to `long_fields`."""
    if value[0] == _ARRAY:
        return True
    # No character takes more than four bytes.
    return len(value) * 4 >= TOKEN_VALUE_BYTES and len(value.encode()) >= TOKEN_VALUE_BYTES


def prefix(name: str) -> str:
    """What stands before a field's value: the separator and its name."""
    return _cached_prefix(name) if len(name) <= _NAME_CHARACTERS_CACHED else _prefix(name)


def name_in(name_prefix: str) -> str:
    """The name that a prefix was made of."""
    name: str = orjson.loads(name_prefix.removeprefix(SEPARATOR)[:-1])
    return name


def value_sql(name_prefix: str) -> str:
    """The SQL of a field's value as JSON text, empty for none; takes the SQL of `prefix(name)`."""
    # Short, as a term has it up to seven times; faster forms are many times as long (docs/performance.md).
    return f"substringIndex(splitByString({name_prefix}, concat(fields, long_fields), 2)[2], '\\x1f', 1)"


def _prefix(name: str) -> str:
    return f"{SEPARATOR}{orjson.dumps(name).decode()}:"


_cached_prefix = lru_cache(_NAMES_CACHED)(_prefix)


def _pair(text: str) -> tuple[str, str]:
    name = _NAME.match(text)
    assert name is not None, "a pair begins with a JSON string and a colon"
    decoded: str = orjson.loads(f'"{name[1]}"')
    return decoded, text[name.end() :]

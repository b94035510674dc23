"""The field catalog: the one place that knows where a field lives, what it is and what the index has of it.

The columns that every log has are in FIELDS; every other field is one of the packed fields
(core.packed_fields), whose values are JSON text (`"5000"` with its quotes is a string, `5000` a number).
Operators may give some of those a column of their own with the same text (storage.own_columns).
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, Protocol

import orjson

from core.own_columns import own_column
from core.packed_fields import SEPARATOR, prefix, value_sql

# Escapes in JSON text: orjson writes `\u001b`, ClickHouse `\u001B`. A backslash may be escaped itself.
_LOWER_ESCAPE: Final = re.compile(r"((?<!\\)(?:\\\\)*\\u)([0-9a-f]{4})")
_SEPARATOR_SHOWN: Final = "\\u001f"  # as the index has it within a service
# The one of the index: what is looked up without the index must be cut as it cuts.
_TOKENIZER: Final = r"'splitByString([\'\x1f\'])'"


class Bind(Protocol):
    """Takes a text and gives the SQL of the parameter that carries it; knows the fields with own columns."""

    @property
    def columns(self) -> frozenset[str]: ...
    def __call__(self, value: str) -> str: ...


class Kind(Enum):
    """How a field's values are written and compared."""

    TIME = "time"  # DateTime64(9): a literal is a time or a span of time
    LEVEL = "level"  # one of core.levels, ordered by rank
    MESSAGE = "message"  # text that is searched by its words
    KEYWORD = "keyword"  # a plain string
    ID = "id"  # the pair of timestamp and seq
    JSON = "json"  # JSON text: string, number, true, false, null or an array


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its kind, its place in the table, and what answers for it besides scanning it."""

    name: str
    kind: Kind
    column: str | None = None  # None: one of the packed fields
    indexed: bool = (
        True  # the tokens have `"name":value`, of arrays `"name"[element`; of the message, its words
    )
    in_rollup: bool = False  # a dimension of the rollup per minute
    in_sort_key: bool = False  # a condition on the column skips granules

    def sql(self, bind: Bind) -> str:
        """The expression of the value."""
        if self.column is not None:
            return self.column
        return own_column(self.name) if self.name in bind.columns else value_sql(bind(prefix(self.name)))

    def token(self, value: str) -> str:
        """The index's token of a value: JSON text for a JSON field, the plain text for others."""
        return f"{json_string(self.name)}:{value.replace(SEPARATOR, _SEPARATOR_SHOWN)}"

    def element_token(self, value: str) -> str:
        """The index's token of an element of the array that a JSON field holds; takes element_text."""
        return f"{json_string(self.name)}[{value}"


FIELDS: Final = {
    field.name: field
    for field in (
        Field("timestamp", Kind.TIME, "timestamp", indexed=False, in_rollup=True, in_sort_key=True),
        Field("level", Kind.LEVEL, "level", in_rollup=True, in_sort_key=True),
        Field("service", Kind.KEYWORD, "service", in_rollup=True, in_sort_key=True),
        Field("message", Kind.MESSAGE, "message"),
        Field("_id", Kind.ID, indexed=False, column="(timestamp, seq)"),
        Field("_ingested_at", Kind.TIME, "ingested_at", indexed=False),
        Field("_source_ip", Kind.KEYWORD, "source_ip", indexed=False),
        Field("_method", Kind.KEYWORD, "method", indexed=False),
    )
}


def has_tokens(which: Literal["All", "Any"], tokens: str) -> str:
    """The condition that a log has all or any of some tokens, which are the SQL of an array."""
    return f"has{which}Tokens(tokens, {tokens}, {_TOKENIZER})"


def field_named(name: str) -> Field:
    """The field of that name; any name is one."""
    return FIELDS.get(name) or Field(name, Kind.JSON)


def element_text(text: str) -> str:
    """The JSON text of a value as the store writes it when it takes an array apart."""
    return _LOWER_ESCAPE.sub(lambda escape: escape[1] + escape[2].upper(), text) if "\\u" in text else text


def json_string(text: str) -> str:
    """A string's JSON text as it is stored: non-ASCII characters as they are."""
    return orjson.dumps(text).decode()

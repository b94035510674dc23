"""The field catalog: the one place that knows where a field lives, what it is and what the index has of it.

A field with a column of its own is in FIELDS; every other one is a key of the map `attributes`, whose values
are JSON text (`"5000"` with its quotes is a string, `5000` a number). A hot field moves to columns of its own
by an entry here: `column` with the same JSON text, `number_column` with the number in it (NaN for none).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import orjson

Bind = Callable[[str], str]  # takes a text, gives the SQL of the parameter that carries it

TOKENS_COLUMN: Final = "tokens"
TOKEN_VALUE_BYTES: Final = 128  # of a value's JSON text that its token holds


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
    column: str | None = None  # None: the key `name` of the map
    number_column: str | None = None  # Float64, of a JSON field
    indexed: bool = (
        True  # the tokens have `=name=value`, of arrays `=name:element`; of the message, its words
    )
    in_rollup: bool = False  # a dimension of the rollup per minute
    in_sort_key: bool = False  # a condition on the column skips granules

    def sql(self, bind: Bind) -> str:
        """The expression of the value."""
        return self.column if self.column is not None else f"attributes[{bind(self.name)}]"

    def token(self, value: str) -> str:
        """The index's token of a value: JSON text for a JSON field, the plain text for others."""
        return f"={self.name}={value}"

    def element_token(self, value: str) -> str:
        """The index's token of an element of the array that a JSON field holds."""
        return f"={self.name}:{value}"


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


def field_named(name: str) -> Field:
    """The field of that name; any name is one."""
    return FIELDS.get(name) or Field(name, Kind.JSON)


def json_string(text: str) -> str:
    """A string's JSON text as it is stored: non-ASCII characters as they are."""
    return orjson.dumps(text).decode()

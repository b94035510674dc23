"""A statement of SQL, whose values travel beside the text and never in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with `{name:Type}` places, the values for them, and the settings to run it with.

    The text alone is its redacted form: it shows what is asked of which column, and no value.
    """

    sql: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def redacted(self) -> str:
        """The statement as logs may show it."""
        return self.sql


class Binds:
    """Collects the values of one statement; the same value of a type takes one place.

    `columns` are the fields with a column of their own, as query.catalog writes them.
    """

    def __init__(self, columns: frozenset[str] = frozenset()) -> None:
        self.columns = columns
        self.values: dict[str, Any] = {}
        self._places: dict[tuple[str, str], str] = {}

    def __call__(self, value: Any, type_: str = "String") -> str:
        """The place of a value: `{p0:String}`."""
        key = (type_, repr(value))
        if key not in self._places:
            name = f"p{len(self.values)}"
            self.values[name] = value
            self._places[key] = f"{{{name}:{type_}}}"
        return self._places[key]

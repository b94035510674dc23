"""What is known about a query before its plan is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from query.ast import Leaf, Node


@dataclass(frozen=True, slots=True)
class Known:
    """Tokens that decide a term (`time*`: all words that it covers), how many logs have some tokens, and
    which fields have a column of their own.
    """

    expansions: Mapping[Leaf, tuple[str, ...]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    columns: frozenset[str] = frozenset()

    def present(self, tokens: tuple[str, ...]) -> tuple[str, ...]:
        """The tokens without those that are known to be in no log."""
        return tuple(token for token in tokens if self.counts.get(token) != 0)


NOTHING: Final = Known()


@dataclass(frozen=True, slots=True)
class Filter:
    """A query and what is known about it: all that its conditions are made of."""

    query: Node
    known: Known = NOTHING

"""What the index's dictionary has told about a query before its plan is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from query.ast import Leaf, Node


@dataclass(frozen=True, slots=True)
class Known:
    """Tokens that decide a term (`time*`: all words that it covers), and how many logs have each token.

    `counts` is None where the dictionary cannot be read; a token that it does not name is in no log.
    """

    expansions: Mapping[Leaf, tuple[str, ...]] = field(default_factory=dict)
    counts: Mapping[str, int] | None = None

    def present(self, tokens: tuple[str, ...]) -> tuple[str, ...]:
        """Those of the tokens that some log has."""
        if self.counts is None:
            return tokens
        return tuple(token for token in tokens if self.counts.get(token))


NOTHING: Final = Known()


@dataclass(frozen=True, slots=True)
class Filter:
    """A query and what is known about it: all that its conditions are made of."""

    query: Node
    known: Known = NOTHING

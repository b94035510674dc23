"""Which of the levels a condition on `level` lets through: they have an order, and there are six."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final

from core.levels import LEVEL_RANKS, LEVELS
from query.ast import Compare, FieldEquals, Operator, Range, Wildcard
from query.pattern import Glob, Pattern

_COMPARISONS: Final[Mapping[Operator, Callable[[int, int], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def levels_of(node: FieldEquals | Compare | Range | Wildcard) -> tuple[str, ...]:
    """The levels for which the condition holds, by rank."""
    match node:
        case FieldEquals():
            return (node.value,)
        case Compare(_, sign, value):
            holds, rank = _COMPARISONS[sign], LEVEL_RANKS[value]
            return tuple(level for level in LEVELS if holds(LEVEL_RANKS[level], rank))
        case Range():
            low = LEVEL_RANKS[node.low] + (not node.low_inclusive)
            high = LEVEL_RANKS[node.high] - (not node.high_inclusive)
            return LEVELS[low : high + 1] if low <= high else ()
        case Wildcard():
            covers = re.compile(_regex(node.pattern))
            return tuple(level for level in LEVELS if covers.fullmatch(level))


def _regex(pattern: Pattern) -> str:
    signs = {Glob.ANY: ".*", Glob.ONE: "."}
    return "".join(signs[part] if isinstance(part, Glob) else re.escape(part) for part in pattern)

"""Counts that the index gives by itself: sums over sets of tokens, how many logs have all tokens of a set.

`a AND NOT b` is what has a, less what has a and b; `a OR b` is a and b less both. The index counts a set at
once, whatever the size of the table.
"""

from collections.abc import Iterable
from typing import Final

from query.ast import And, MatchAll, Node, Not, Or
from query.catalog import field_named
from query.known import Known
from query.tokens import any_tokens

SETS_MAX: Final = 16  # each costs the store some milliseconds

Tokens = frozenset[str]
Sum = dict[Tokens, int]  # a set of tokens → how often its count is added; the empty set stands for all logs

EVERY: Final[Tokens] = frozenset()


class TooManySets(Exception):
    """The sum has more sets than are worth counting."""


def index_sum(query: Node, known: Known) -> Sum | None:
    """The sum that counts the query's matches; None when the index does not decide it, or too dearly."""
    try:
        return _sum(query, known)
    except TooManySets:
        return None


def product(a: Sum, b: Sum) -> Sum:
    """The sum that counts what both count. Raises TooManySets."""
    found: Sum = {}
    for left, factor in a.items():
        for right, other in b.items():
            found[left | right] = found.get(left | right, 0) + factor * other
    return _checked(found)


def value_sum(name: str, values: Iterable[str]) -> Sum:
    """The sum for a field with one of these tokens; a log has one value of a field."""
    return dict.fromkeys((frozenset([token]) for token in values), 1)


def _sum(node: Node, known: Known) -> Sum | None:
    if isinstance(node, MatchAll):
        return {EVERY: 1}
    tokens = any_tokens(node, known)
    if tokens is not None and (len(tokens) <= 1 or _exclusive(tokens, node)):
        return _checked({frozenset([token]): 1 for token in tokens})
    if isinstance(node, Not):
        inner = _sum(node.operand, known)
        return None if inner is None else _added({EVERY: 1}, inner, -1)
    if not isinstance(node, And | Or):
        return None if tokens is None else _either([{frozenset([token]): 1} for token in tokens])
    operands = [_sum(operand, known) for operand in node.operands]
    sums = [each for each in operands if each is not None]
    if len(sums) < len(operands):
        return None
    if isinstance(node, Or):
        return _either(sums)
    found: Sum = {EVERY: 1}
    for each in sums:
        found = product(found, each)
    return found


def _exclusive(tokens: tuple[str, ...], node: Node) -> bool:
    """Whether a log can have one of the tokens only: values of one field, and no elements of arrays."""
    if isinstance(node, And | Or | Not | MatchAll) or not hasattr(node, "field"):
        return False
    prefix = field_named(node.field).token("")
    return all(token.startswith(prefix) for token in tokens)


def _either(sums: list[Sum]) -> Sum:
    found: Sum = {}
    for each in sums:
        both = product(found, each)
        found = _added(_added(found, each, 1), both, -1)
    return _checked(found)


def _added(a: Sum, b: Sum, factor: int) -> Sum:
    found = dict(a)
    for tokens, count in b.items():
        found[tokens] = found.get(tokens, 0) + factor * count
    return found


def _checked(found: Sum) -> Sum:
    kept = {tokens: factor for tokens, factor in found.items() if factor}
    if len(kept) > SETS_MAX:
        raise TooManySets
    return kept

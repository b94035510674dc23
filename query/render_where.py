"""The SQL of a query's conditions, for the log table and for the rollups.

Every condition is true or false, never NULL, so that NOT is its opposite.
"""

from typing import Literal

from query.ast import And, MatchAll, Node, Not, Or, Words
from query.catalog import field_named, has_tokens
from query.known import Filter, Known
from query.plan.nodes import HOUR_NS, Piece
from query.render_leaf import leaf
from query.render_test import time_ns
from query.rollups import ROLLUPS
from query.search import ALWAYS, TimeRange
from query.statement import Binds
from query.tokens import all_tokens, any_tokens, needed_words


def conditions(filter_: Filter, piece: Piece, bind: Binds, by_index: bool = False) -> list[str]:
    """The conditions, all of which must hold: of the piece's range, then of the query.

    `by_index` prefers tokens also for the fields of the sort key.
    """
    bounds = _minute_bounds if piece.source == "rollup" else _hour_bounds
    where = bounds(piece.range, bind)
    query, known = filter_.query, filter_.known
    operands = query.operands if isinstance(query, And) else (query,)
    if piece.source in ROLLUPS:
        return where + [
            _column_sql(operand, bind) for operand in operands if not isinstance(operand, MatchAll)
        ]
    # Tokens that are all needed are intersected inside the index.
    tokens: list[str] = []
    for operand in operands:
        alone = None if _by_sort_key(operand) and not by_index else all_tokens(operand, known)
        if alone is not None:
            tokens += alone
        elif isinstance(operand, Words):
            tokens += needed_words(operand)
            where.append(leaf(operand, bind))
        elif not isinstance(operand, MatchAll):
            where.append(_sql(operand, known, bind))
    if tokens:
        where.insert(0, _has("All", tokens, bind))
    return where


def index_condition(filter_: Filter, bind: Binds) -> str | None:
    """The condition as one that the text index counts by itself; None when there is none.

    It must be the whole WHERE: with a time bound beside it rows are visited.
    """
    needed = all_tokens(filter_.query, filter_.known)
    if needed is not None:
        return _has("All", needed, bind)
    alternatives = any_tokens(filter_.query, filter_.known)
    return _has("Any", alternatives, bind) if alternatives else None


def _minute_bounds(range_: TimeRange, bind: Binds) -> list[str]:
    def bound(ns: int) -> str:
        return f"toDateTime64({bind(ns // 1_000_000_000, 'Int64')}, 0, 'UTC')"

    where = []
    if range_.from_ns > ALWAYS.from_ns:
        where.append(f"minute >= {bound(range_.from_ns)}")
    if range_.until_ns < ALWAYS.until_ns:
        where.append(f"minute < {bound(range_.until_ns)}")
    return where


def _hour_bounds(range_: TimeRange, bind: Binds) -> list[str]:
    """By the hour, which the sort key begins with; by timestamps where the range cuts an hour."""
    where = []
    if range_.from_ns > ALWAYS.from_ns:
        where.append(f"hour >= {bind(range_.from_ns // HOUR_NS, 'UInt32')}")
        if range_.from_ns % HOUR_NS:
            where.append(f"timestamp >= {time_ns(range_.from_ns, bind)}")
    if range_.until_ns < ALWAYS.until_ns:
        where.append(f"hour < {bind(-(-range_.until_ns // HOUR_NS), 'UInt32')}")
        if range_.until_ns % HOUR_NS:
            where.append(f"timestamp < {time_ns(range_.until_ns, bind)}")
    return where


def _sql(node: Node, known: Known, bind: Binds) -> str:
    """Any node, by tokens where they decide it, on columns where not."""
    match node:
        case MatchAll():
            return "true"
        case Not(operand):
            return f"NOT {_sql(operand, known, bind)}"
        case And(operands):
            return "(" + " AND ".join(_sql(operand, known, bind) for operand in operands) + ")"
        case Or(operands):
            tokens = None if _by_sort_key(node) else any_tokens(node, known)
            if tokens is not None:
                return _has("Any", tokens, bind)
            return "(" + " OR ".join(_sql(operand, known, bind) for operand in operands) + ")"
    tokens = None if _by_sort_key(node) else any_tokens(node, known)
    if tokens is not None:
        return _has("Any", tokens, bind)
    condition = leaf(node, bind)
    if isinstance(node, Words) and (words := needed_words(node)):
        return f"({_has('All', words, bind)} AND {condition})"
    return condition


def _column_sql(node: Node, bind: Binds) -> str:
    """A node on columns alone."""
    match node:
        case Not(operand):
            return f"NOT {_column_sql(operand, bind)}"
        case And(operands):
            return "(" + " AND ".join(_column_sql(operand, bind) for operand in operands) + ")"
        case Or(operands):
            return "(" + " OR ".join(_column_sql(operand, bind) for operand in operands) + ")"
    return leaf(node, bind)


def _by_sort_key(node: Node) -> bool:
    """Whether conditions on the node's columns skip granules, which tokens of the same columns do not."""
    if isinstance(node, MatchAll | Words):
        return False
    if isinstance(node, Not):
        return _by_sort_key(node.operand)
    if isinstance(node, And | Or):
        return all(map(_by_sort_key, node.operands))
    return field_named(node.field).in_sort_key


def _has(which: Literal["All", "Any"], tokens: list[str] | tuple[str, ...], bind: Binds) -> str:
    if not tokens:
        return "false"
    return has_tokens(which, bind(list(tokens), "Array(String)"))

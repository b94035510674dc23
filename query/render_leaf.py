"""The SQL of single terms on columns."""

import re
from collections.abc import Iterable
from typing import Final, assert_never

from core.limits import TIMESTAMP_NS_MAX
from query.ast import (
    Cidr,
    Compare,
    FieldEquals,
    FieldExists,
    Leaf,
    MatchAll,
    Operator,
    Range,
    Regex,
    Wildcard,
    Words,
)
from query.catalog import TOKEN_VALUE_BYTES, TOKENS_COLUMN, Field, Kind, field_named
from query.level_sets import levels_of
from query.literals import network_bounds, read_big_integer, read_id, read_ip, read_number
from query.pattern import Glob, Pattern
from query.render_values import any_text, any_value, exists, instant_in, integer_in, number_in, plain
from query.statement import Binds
from query.times import Span, read_time
from query.tokens import value_texts
from query.words import fold, is_word, sequence_regex, word_patterns, words_of

FOLDED_MESSAGE: Final = "lowerUTF8(message)"

WHOLE_SPAN: Final[tuple[Operator, ...]] = (">=", "<=")

Bound = tuple[Operator, str]  # an operator and the literal behind it


def leaf(node: Leaf, bind: Binds) -> str:
    """The condition of one term; of words that the index knows, what the index cannot tell: their order."""
    match node:
        case MatchAll():
            return "true"
        case Words(text):
            return _words(text, bind)
        case FieldEquals(name, value):
            return _equals(field_named(name), value, node, bind)
        case FieldExists(name):
            return exists(field_named(name), bind)
        case Wildcard(name, pattern):
            return _wildcard(field_named(name), pattern, node, bind)
        case Regex(name, source):
            expression = bind(source)
            return any_text(field_named(name), bind, lambda value: f"match({value}, {expression})")
        case Compare(name, operator, value):
            return _compare(field_named(name), [(operator, value)], node, bind)
        case Range(name, low, high):
            bounds: list[Bound] = [
                (">=" if node.low_inclusive else ">", low),
                ("<=" if node.high_inclusive else "<", high),
            ]
            return _compare(field_named(name), bounds, node, bind)
        case Cidr(name, network):
            first, last = (f"toIPv6({bind(address)})" for address in network_bounds(network))
            return any_text(
                field_named(name),
                bind,
                lambda value: f"ifNull(toIPv6OrNull({value}) BETWEEN {first} AND {last}, false)",
            )
    assert_never(node)


def time_ns(ns: int, bind: Binds) -> str:
    """An instant as the timestamp's type."""
    return f"fromUnixTimestamp64Nano({bind(min(ns, TIMESTAMP_NS_MAX), 'Int64')}, 'UTC')"


def _words(text: str, bind: Binds) -> str:
    words = words_of(text)
    if not words:
        return f"position(message, {bind(text)}) > 0"
    if len(words) == 1:
        return f"hasAllTokens({TOKENS_COLUMN}, {bind(words, 'Array(String)')})"
    return f"match({FOLDED_MESSAGE}, {bind(sequence_regex([(word,) for word in words]))})"


def _equals(field: Field, value: str, node: FieldEquals, bind: Binds) -> str:
    if field.kind is Kind.TIME:
        return _all(_time_bound(field.sql(bind), (operator, value), bind) for operator in WHOLE_SPAN)
    if field.kind is Kind.LEVEL:
        return _levels(field, node, bind)
    if field.kind is Kind.ID:
        return id_condition(value, bind)
    if field.kind is Kind.KEYWORD:
        return f"{field.sql(bind)} = {bind(value)}"
    texts = value_texts(value)
    stored, many = field.sql(bind), bind(list(texts), "Array(String)")
    exact = (
        f"if(startsWith({stored}, '['), hasAny(JSONExtractArrayRaw({stored}), {many}), has({many}, {stored}))"
    )
    if not field.indexed:
        return exact
    cut = [f"substring({bind(text)}, 1, {TOKEN_VALUE_BYTES})" for text in texts]
    tokens = ", ".join(
        f"concat({bind(token(''))}, {text})" for token in (field.token, field.element_token) for text in cut
    )
    return f"(hasAnyTokens({TOKENS_COLUMN}, [{tokens}]) AND {exact})"


def id_condition(text: str, bind: Binds) -> str:
    """One log by its id, found through the sort key."""
    found = read_id(text)
    assert found is not None, "the parser lets nothing else through"
    if found.timestamp_ns >= TIMESTAMP_NS_MAX:
        return "false"
    return f"(timestamp = {time_ns(found.timestamp_ns, bind)} AND seq = {bind(found.seq, 'UInt64')})"


def _wildcard(field: Field, pattern: Pattern, node: Wildcard, bind: Binds) -> str:
    if field.kind is Kind.LEVEL:
        return _levels(field, node, bind)
    inner = pattern[1] if len(pattern) == 3 and pattern[0] is pattern[2] is Glob.ANY else None
    if field.kind is Kind.MESSAGE:
        if isinstance(inner, str) and is_word(inner):
            return f"position({FOLDED_MESSAGE}, {bind(fold(inner))}) > 0"
        return f"match({FOLDED_MESSAGE}, {bind(sequence_regex(word_patterns(pattern)))})"
    if isinstance(inner, str):
        literal = bind(inner)
        return any_text(field, bind, lambda value: f"position({value}, {literal}) > 0")
    signs = {Glob.ANY: ".*", Glob.ONE: "."}
    expression = "".join(signs[part] if isinstance(part, Glob) else re.escape(part) for part in pattern)
    covers = bind(f"^{expression}$")
    return any_text(field, bind, lambda value: f"match({value}, {covers})")


def _levels(field: Field, node: FieldEquals | Compare | Range | Wildcard, bind: Binds) -> str:
    levels = levels_of(node)
    if len(levels) == 1:
        return f"{field.column} = {bind(levels[0])}"
    return f"{field.column} IN {bind(list(levels), 'Array(String)')}" if levels else "false"


def _compare(field: Field, bounds: list[Bound], node: Compare | Range, bind: Binds) -> str:
    literals = [literal for _, literal in bounds]
    if field.kind is Kind.LEVEL:
        return _levels(field, node, bind)
    if field.kind is Kind.TIME:
        return _all(_time_bound(field.sql(bind), bound, bind) for bound in bounds)
    if field.kind is Kind.JSON:
        if all(read_number(literal) is not None for literal in literals):
            return any_value(
                field, bind, lambda value: _all(_number_bound(value, bound, bind) for bound in bounds)
            )
        if all(read_time(literal, 0) is not None for literal in literals):
            return any_value(
                field,
                bind,
                lambda value: _all(_time_bound(instant_in(value), bound, bind) for bound in bounds),
            )
    if all(read_ip(literal) is not None for literal in literals):
        return any_text(field, bind, lambda value: _all(_ip_bound(value, bound, bind) for bound in bounds))

    def text_between(value: str) -> str:
        text = plain(value) if field.kind is Kind.JSON else value
        inside = _all(f"{text} {operator} {bind(literal)}" for operator, literal in bounds)
        return f"(startsWith({value}, '\"') AND {inside})" if field.kind is Kind.JSON else inside

    return any_value(field, bind, text_between)


def _number_bound(value: str, bound: Bound, bind: Binds) -> str:
    operator, literal = bound
    limit = read_number(literal)
    big = read_big_integer(literal)
    near = f"ifNull({number_in(value)} {operator} {bind(limit, 'Float64')}, false)"
    if big is None:
        return near
    return f"ifNull({integer_in(value)} {operator} {bind(big, 'Int256')}, {near})"


def _time_bound(instant: str, bound: Bound, bind: Binds) -> str:
    operator, literal = bound
    span = _span(literal)
    sign, ns = {
        ">": (">=", span.end_ns),
        ">=": (">=", span.start_ns),
        "<": ("<", span.start_ns),
        "<=": ("<", span.end_ns),
    }[operator]
    return f"ifNull({instant} {sign} {time_ns(ns, bind)}, false)"


def _ip_bound(value: str, bound: Bound, bind: Binds) -> str:
    operator, literal = bound
    return f"ifNull(toIPv6OrNull({value}) {operator} toIPv6({bind(str(read_ip(literal)))}), false)"


def _all(tests: Iterable[str]) -> str:
    parts = list(tests)
    return parts[0] if len(parts) == 1 else "(" + " AND ".join(parts) + ")"


def _span(literal: str) -> Span:
    span = read_time(literal, 0)
    assert span is not None, (
        "times that begin with now are resolved, and the parser lets nothing else through"
    )
    return span

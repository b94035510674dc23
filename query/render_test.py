"""The SQL of tests that a value passes or not: wildcards, expressions, comparisons, networks."""

import re
from collections.abc import Iterable, Sequence
from typing import assert_never

from core.limits import TIMESTAMP_NS_MAX
from query.ast import Cidr, Compare, FieldExists, Operator, Range, Regex, Wildcard
from query.catalog import Kind
from query.literals import network_bounds, read_big_integer, read_ip, read_number
from query.pattern import Glob, Pattern
from query.render_values import Test, instant_in, integer_in, number_in, plain
from query.statement import Binds
from query.times import Span, read_time

Tested = FieldExists | Wildcard | Regex | Compare | Range | Cidr
Bound = tuple[Operator, str]  # an operator and the literal behind it


def value_test(node: Tested, kind: Kind, bind: Binds) -> Test:
    """The test of one value that is there: JSON text of a JSON field, the plain text of others."""
    match node:
        case FieldExists():
            return lambda value: "true"
        case Wildcard(_, pattern):
            return _of_text(_wildcard(pattern, bind), kind)
        case Regex(_, source):
            expression = bind(source)
            return _of_text(lambda text: f"match({text}, {expression})", kind)
        case Cidr(_, network):
            first, last = (f"toIPv6({bind(address)})" for address in network_bounds(network))
            return _of_text(
                lambda text: f"ifNull(toIPv6OrNull({text}) BETWEEN {first} AND {last}, false)", kind
            )
        case Compare() | Range():
            return _comparison(bounds_of(node), kind, bind)
    assert_never(node)


def bounds_of(node: Compare | Range) -> list[Bound]:
    """The one or two comparisons that it is."""
    if isinstance(node, Compare):
        return [(node.operator, node.value)]
    return [
        (">=" if node.low_inclusive else ">", node.low),
        ("<=" if node.high_inclusive else "<", node.high),
    ]


def time_bounds(instant: str, bounds: Sequence[Bound], bind: Binds) -> str:
    """A time (the SQL of a DateTime64) within bounds, each of which may be a span such as a day."""
    return _all(_time_bound(instant, bound, bind) for bound in bounds)


def time_ns(ns: int, bind: Binds) -> str:
    """An instant as the timestamp's type."""
    return f"fromUnixTimestamp64Nano({bind(min(ns, TIMESTAMP_NS_MAX), 'Int64')}, 'UTC')"


def _of_text(test: Test, kind: Kind) -> Test:
    """A test of the value as a person reads it."""
    return (lambda value: test(plain(value))) if kind is Kind.JSON else test


def _wildcard(pattern: Pattern, bind: Binds) -> Test:
    if len(pattern) == 3 and pattern[0] is pattern[2] is Glob.ANY and isinstance(pattern[1], str):
        inner = bind(pattern[1])
        return lambda text: f"position({text}, {inner}) > 0"
    signs = {Glob.ANY: ".*", Glob.ONE: "."}
    expression = "".join(signs[part] if isinstance(part, Glob) else re.escape(part) for part in pattern)
    covers = bind(f"^{expression}$")
    return lambda text: f"match({text}, {covers})"


def _comparison(bounds: Sequence[Bound], kind: Kind, bind: Binds) -> Test:
    """Numbers, times and addresses compare as such when the literals are ones, everything else as text."""
    literals = [literal for _, literal in bounds]
    if kind is Kind.JSON and all(read_number(literal) is not None for literal in literals):
        return lambda value: _all(_number_bound(value, bound, bind) for bound in bounds)
    if kind is Kind.JSON and all(read_time(literal, 0) is not None for literal in literals):
        return lambda value: time_bounds(instant_in(value), bounds, bind)
    if all(read_ip(literal) is not None for literal in literals):
        return _of_text(lambda text: _all(_ip_bound(text, bound, bind) for bound in bounds), kind)
    if kind is Kind.JSON:
        return lambda value: f"(startsWith({value}, '\"') AND {_text_bounds(plain(value), bounds, bind)})"
    return lambda value: _text_bounds(value, bounds, bind)


def _text_bounds(text: str, bounds: Sequence[Bound], bind: Binds) -> str:
    return _all(f"{text} {operator} {bind(literal)}" for operator, literal in bounds)


def _number_bound(value: str, bound: Bound, bind: Binds) -> str:
    operator, literal = bound
    near = f"ifNull({number_in(value)} {operator} {bind(read_number(literal), 'Float64')}, false)"
    big = read_big_integer(literal)
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


def _ip_bound(text: str, bound: Bound, bind: Binds) -> str:
    operator, literal = bound
    return f"ifNull(toIPv6OrNull({text}) {operator} toIPv6({bind(str(read_ip(literal)))}), false)"


def _all(tests: Iterable[str]) -> str:
    parts = list(tests)
    return parts[0] if len(parts) == 1 else "(" + " AND ".join(parts) + ")"


def _span(literal: str) -> Span:
    span = read_time(literal, 0)
    assert span is not None, "times with now are resolved, and the parser lets nothing else through"
    return span

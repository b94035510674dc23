"""Times that speak of `now` in a query, resolved to the moment when the search began."""

from core.errors import InvalidSearch
from query.ast import And, Compare, FieldEquals, Node, Not, Operator, Or, Range
from query.catalog import Kind, field_named
from query.iso import iso
from query.times import SECOND_NS, is_time, read_time


def resolve_now(node: Node, now_ns: int) -> Node:
    """The same query with absolute times. Raises InvalidSearch for one outside the years 1970 to 2199."""
    match node:
        case Not(operand):
            return Not(resolve_now(operand, now_ns))
        case And(operands):
            return And(tuple(resolve_now(operand, now_ns) for operand in operands))
        case Or(operands):
            return Or(tuple(resolve_now(operand, now_ns) for operand in operands))
        case FieldEquals(name, value) if _is_relative(value) and field_named(name).kind is Kind.TIME:
            return Range(name, _absolute(">=", value, now_ns), _absolute("<=", value, now_ns), True, True)
        case Compare(name, operator, value) if _in_time(name):
            return Compare(name, operator, _absolute(operator, value, now_ns))
        case Range(name, low, high) if _in_time(name):
            low = _absolute(">=" if node.low_inclusive else ">", low, now_ns)
            high = _absolute("<=" if node.high_inclusive else "<", high, now_ns)
            return Range(name, low, high, node.low_inclusive, node.high_inclusive)
    return node


def _in_time(name: str) -> bool:
    return field_named(name).kind in (Kind.TIME, Kind.JSON)


def _is_relative(text: str) -> bool:
    return text.startswith("now") and is_time(text)


def _absolute(operator: Operator, text: str, now_ns: int) -> str:
    """An instant that compares as the text does: a span such as now/d has two ends."""
    if not _is_relative(text):
        return text
    span = read_time(text, now_ns)
    if span is None:
        raise InvalidSearch({"query": f"{text} is not between the years 1970 and 2200"})
    ns = span.start_ns if operator in (">=", "<") else span.end_ns - 1
    return f"{iso(ns // SECOND_NS * SECOND_NS)[:-1]}.{ns % SECOND_NS:09d}Z"

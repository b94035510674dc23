"""The tree of a query: frozen nodes that print themselves.

Parsing the printed query gives the same tree. Nodes hold what was written and nothing of the store:
the catalog tells what a field is, and whether a text is a number, a time or a string.

A tree is in normal form (the functions below make it): And and Or have at least two operands and none of
their own kind, Not never holds a Not, a range with one open end is a Compare, one with two is FieldExists.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from query.pattern import Pattern, print_pattern
from query.quoting import print_field, print_regex, print_value, print_words

Operator = Literal[">", ">=", "<", "<="]


@dataclass(frozen=True, slots=True)
class MatchAll:
    """Every log."""

    def __str__(self) -> str:
        return "*"


@dataclass(frozen=True, slots=True)
class Words:
    """The words of the text, one after the other, in the message; a quoted phrase is no different."""

    text: str

    def __str__(self) -> str:
        return print_words(self.text)


@dataclass(frozen=True, slots=True)
class FieldEquals:
    """The whole value of the field, or an element of the array that it holds."""

    field: str
    value: str

    def __str__(self) -> str:
        return f"{print_field(self.field)}:{print_value(self.value)}"


@dataclass(frozen=True, slots=True)
class FieldExists:
    """The log has the field, whatever its value."""

    field: str

    def __str__(self) -> str:
        return f"{print_field(self.field)}:*"


@dataclass(frozen=True, slots=True)
class Wildcard:
    """The pattern covers the whole value; in the message it covers whole words, from edge to edge."""

    field: str
    pattern: Pattern

    def __str__(self) -> str:
        return f"{print_field(self.field)}:{print_pattern(self.pattern)}"


@dataclass(frozen=True, slots=True)
class Regex:
    """The RE2 expression is found anywhere in the value."""

    field: str
    source: str

    def __str__(self) -> str:
        return f"{print_field(self.field)}:{print_regex(self.source)}"


@dataclass(frozen=True, slots=True)
class Compare:
    """The value stands in this order to the literal."""

    field: str
    operator: Operator
    value: str

    def __str__(self) -> str:
        return f"{print_field(self.field)}:{self.operator}{print_value(self.value)}"


@dataclass(frozen=True, slots=True)
class Range:
    """The value is between two literals."""

    field: str
    low: str
    high: str
    low_inclusive: bool
    high_inclusive: bool

    def __str__(self) -> str:
        opening, closing = "{["[self.low_inclusive], "}]"[self.high_inclusive]
        bounds = f"{print_value(self.low)} TO {print_value(self.high)}"
        return f"{print_field(self.field)}:{opening}{bounds}{closing}"


@dataclass(frozen=True, slots=True)
class Cidr:
    """The value is an IP address of the network, whose canonical form this is: `10.0.0.0/8`."""

    field: str
    network: str

    def __str__(self) -> str:
        return f"{print_field(self.field)}:{self.network}"


@dataclass(frozen=True, slots=True)
class Not:
    """The operand does not hold, also where its field is missing."""

    operand: "Node"

    def __str__(self) -> str:
        return f"NOT {_print_operand(self.operand, And, Or)}"


@dataclass(frozen=True, slots=True)
class And:
    """All operands hold."""

    operands: tuple["Node", ...]

    def __str__(self) -> str:
        return " AND ".join(_print_operand(node, Or) for node in self.operands)


@dataclass(frozen=True, slots=True)
class Or:
    """At least one operand holds."""

    operands: tuple["Node", ...]

    def __str__(self) -> str:
        return " OR ".join(map(str, self.operands))


Leaf = MatchAll | Words | FieldEquals | FieldExists | Wildcard | Regex | Compare | Range | Cidr
Node = Leaf | Not | And | Or


def conjunction(nodes: Iterable[Node]) -> Node:
    """All of them; none at all is every log."""
    operands: list[Node] = []
    for node in nodes:
        operands.extend(node.operands if isinstance(node, And) else (node,))
    if not operands:
        return MatchAll()
    return operands[0] if len(operands) == 1 else And(tuple(operands))


def disjunction(nodes: Iterable[Node]) -> Node:
    """At least one of them; there must be one."""
    operands: list[Node] = []
    for node in nodes:
        operands.extend(node.operands if isinstance(node, Or) else (node,))
    assert operands, "an OR of nothing"
    return operands[0] if len(operands) == 1 else Or(tuple(operands))


def negation(node: Node) -> Node:
    """The opposite."""
    return node.operand if isinstance(node, Not) else Not(node)


def _print_operand(node: Node, *in_parentheses: type) -> str:
    return f"({node})" if isinstance(node, in_parentheses) else str(node)

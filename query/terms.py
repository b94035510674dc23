"""Makes the nodes of single terms: what a value means depends on the kind of its field."""

from dataclasses import dataclass
from typing import Final, NoReturn

from core.errors import QuerySyntaxError
from core.levels import LEVELS, level_named
from core.limits import QUERY_REGEXES_MAX, QUERY_WILDCARDS_MAX
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
from query.catalog import Field, Kind, field_named
from query.grammar import Bounds, Broken, Comparison, Expression, Literal, Quoted, Text, Value
from query.literals import read_id, read_network
from query.pattern import Glob, Pattern, literal_text, normal_pattern, read_pattern
from query.regex import regex_problem
from query.times import is_time

MESSAGE: Final = "message"
ONE_MORE: Final = "one more"


def syntax_error(position: int, found: str, expected: str) -> QuerySyntaxError:
    """The one form of a syntax error: position, what was found, what would fit."""
    return QuerySyntaxError(f"at position {position}: found {found}, expected {expected}", position)


@dataclass(slots=True)
class TermReader:
    """Makes the terms of one query, and counts what costs."""

    text: str
    wildcards: int = 0
    regexes: int = 0

    def leaf(self, field_name: str | None, value: Value, position: int, end: int) -> Leaf:
        """The node of a value (the text from position to end) and its field; without one it is the message.

        Raises QuerySyntaxError.
        """
        return _LeafReader(
            self, field_named(field_name or MESSAGE), field_name is not None, position, end
        ).read(value)


@dataclass(slots=True)
class _LeafReader:
    query: TermReader
    field: Field
    named: bool
    position: int
    end: int

    def read(self, value: Value) -> Leaf:
        match value:
            case Broken(expected):
                self._fail(expected, self.query.text[self.position : self.position + 1])
            case Quoted(text):
                return self._equals(text, quoted=True)
            case Text(raw):
                return self._text(read_pattern(raw))
            case Expression(source):
                return self._regex(source)
            case Comparison(operator, literal):
                return Compare(self.field.name, operator, self._literal(literal))
        return self._bounds(value)

    def _text(self, pattern: Pattern) -> Leaf:
        text = literal_text(pattern)
        if text is not None:
            return self._equals(text, quoted=False)
        if pattern == (Glob.ANY,):
            return FieldExists(self.field.name) if self.named else MatchAll()
        return self._wildcard(pattern)

    def _equals(self, text: str, quoted: bool) -> Leaf:
        if self.field.kind is Kind.MESSAGE:
            if not text:
                self._fail("at least one character between the quotes")
            return Words(text)
        network = None if quoted else read_network(text)
        if network is not None and self.field.kind in (Kind.KEYWORD, Kind.JSON):
            return Cidr(self.field.name, network)
        if self.field.kind is Kind.ID and read_id(text) is None:
            self._fail("an _id: 16 hexadecimal digits, a hyphen, and 16 more")
        return FieldEquals(self.field.name, self._checked(text))

    def _wildcard(self, pattern: Pattern) -> Leaf:
        if self.field.kind in (Kind.TIME, Kind.ID):
            self._fail(f"no wildcards in {self.field.name}")
        self.query.wildcards += sum(isinstance(part, Glob) for part in pattern)
        if self.query.wildcards > QUERY_WILDCARDS_MAX:
            self._fail(f"at most {QUERY_WILDCARDS_MAX} wildcards in a query", ONE_MORE)
        if self.field.kind is Kind.LEVEL:
            pattern = normal_pattern([part.lower() if isinstance(part, str) else part for part in pattern])
        return Wildcard(self.field.name, pattern)

    def _regex(self, source: str) -> Leaf:
        if self.field.kind in (Kind.TIME, Kind.ID):
            self._fail(f"no regular expression for {self.field.name}")
        self.query.regexes += 1
        if self.query.regexes > QUERY_REGEXES_MAX:
            self._fail(f"at most {QUERY_REGEXES_MAX} regular expressions in a query", ONE_MORE)
        problem = regex_problem(source)
        if problem is not None:
            self._fail(f"a regular expression that RE2 can run: {problem}")
        return Regex(self.field.name, source)

    def _bounds(self, bounds: Bounds) -> Leaf:
        low, high = self._bound(bounds.low), self._bound(bounds.high)
        name = self.field.name
        if low is None and high is None:
            return FieldExists(name)
        if low is None:
            assert high is not None
            return Compare(name, "<=" if bounds.high_inclusive else "<", high)
        if high is None:
            operator: Operator = ">=" if bounds.low_inclusive else ">"
            return Compare(name, operator, low)
        return Range(name, low, high, bounds.low_inclusive, bounds.high_inclusive)

    def _bound(self, bound: Literal) -> str | None:
        return None if bound == Text("*") else self._literal(bound)

    def _literal(self, literal: Literal) -> str:
        if self.field.kind is Kind.ID:
            self._fail("a whole _id")
        if isinstance(literal, Quoted):
            return self._checked(literal.text)
        text = literal_text(read_pattern(literal.raw))
        if text is None:
            self._fail("no wildcard in a comparison or a range")
        return self._checked(text)

    def _checked(self, text: str) -> str:
        """The literal as the field's kind has it."""
        if self.field.kind is Kind.LEVEL:
            level = level_named(text)
            if level is None:
                self._fail("a level: " + ", ".join(LEVELS), text)
            return level
        if self.field.kind is Kind.TIME and not is_time(text):
            self._fail("a time like 2024-01-15, 2024-01-15T10:30:00Z, 1705314600 or now-15m", text)
        return text

    def _fail(self, expected: str, found: str | None = None) -> NoReturn:
        if found is None:
            found = self.query.text[self.position : self.end]
        raise syntax_error(self.position, shown(found), expected)


def shown(found: str) -> str:
    """What was found, short enough for a message."""
    if not found:
        return "the end of the query"
    if found.isspace():
        return "a blank"
    cut = found if len(found) <= 40 else found[:39] + "…"
    return cut if cut == ONE_MORE else repr(cut)

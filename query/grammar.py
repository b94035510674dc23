r"""The grammar of the query language: its lexemes, each a pyparsing element.

The grammar is flat on purpose. What has a fixed shape (`field:[1 TO 5}`, `"phrase"`, `-`) is an element here;
how terms, operators and parentheses combine is folded by query.parser on a stack of its own, so that no text
can exhaust Python's. Every text is a sequence of lexemes, as the last elements take what nothing else takes.
"""

import re
from dataclasses import dataclass
from typing import Final, cast

import pyparsing as pp

from query.ast import Operator
from query.quoting import FIELD_NAME, is_address, unquote


@dataclass(frozen=True, slots=True)
class Text:
    """A word as typed, with its escapes and wildcards."""

    raw: str


@dataclass(frozen=True, slots=True)
class Quoted:
    """The text that stood in quotes."""

    text: str


@dataclass(frozen=True, slots=True)
class Expression:
    """What stood between slashes."""

    source: str


Literal = Text | Quoted


@dataclass(frozen=True, slots=True)
class Comparison:
    """`>5`."""

    operator: Operator
    literal: Literal


@dataclass(frozen=True, slots=True)
class Bounds:
    """`[1 TO 5}`."""

    low: Literal
    high: Literal
    low_inclusive: bool
    high_inclusive: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """The beginning of something that does not go on as it must."""

    expected: str


Value = Text | Quoted | Expression | Comparison | Bounds | Broken


@dataclass(frozen=True, slots=True)
class Term:
    """A value, with the field before its colon."""

    field: str | None
    value: Value
    offset: int  # of the value, from where reading began


@dataclass(frozen=True, slots=True)
class FieldGroup:
    """`field:(`."""

    field: str


@dataclass(frozen=True, slots=True)
class Sign:
    """`(`, `)`, `AND`, `OR`, `NOT`, `-`, `!` or `+`."""

    sign: str


Lexeme = Term | FieldGroup | Sign

_WORD_END = r"(?=[\s()\"]|$)"
_DRIVE = re.compile(r"[A-Za-z]:[\\/]\w")
_REGEX = re.compile(r"/(?:[^/\\]|\\.)+/" + _WORD_END, re.DOTALL)
_HEAD_ESCAPE = re.compile(r"\\([^\w])", re.DOTALL)


def _is_field(text: str, position: int, found: pp.ParseResults) -> bool:
    """Whether what stands before this colon names a field, or belongs to a word that has a colon in it."""
    typed = found[0]
    if typed.startswith('"'):
        return True
    if "\\" not in typed and not FIELD_NAME.fullmatch(typed[:-1]):
        return False
    word = _WORD.match(text, position)
    assert word is not None, "a head is the beginning of a word"
    rest = word[0][len(typed) :]
    if rest.startswith(("//", ":")) and not is_address(rest.partition("/")[0]):
        return False
    if _DRIVE.match(word[0]) and not _REGEX.match(text, position + len(typed)):
        return False
    return not is_address(word[0])


def _field(found: pp.ParseResults) -> str:
    typed = found[0][:-1]
    return unquote(typed[1:-1]) if typed.startswith('"') else _HEAD_ESCAPE.sub(r"\1", typed)


def _unescape_slash(pair: re.Match[str]) -> str:
    return "/" if pair[1] == "/" else pair[0]


def _bounds(found: pp.ParseResults) -> Bounds:
    opening, low, high, closing = found
    return Bounds(low, high, opening == "[", closing == "]")


def _element(pattern: str | re.Pattern[str], name: str) -> pp.Regex:
    return cast("pp.Regex", pp.Regex(pattern, re.DOTALL).leave_whitespace().set_name(name))


_WORD = re.compile(r"(?:\\.|[^\s()\"\\]|\\(?=\s|$))+", re.DOTALL)

_quoted = _element(r'"(?:[^"\\]|\\.)*"', "quoted text").set_parse_action(
    lambda found: Quoted(unquote(found[0][1:-1]))
)
_text = _element(_WORD.pattern, "word").set_parse_action(lambda found: Text(found[0]))
_regex = _element(_REGEX.pattern, "regular expression").set_parse_action(
    lambda found: Expression(re.sub(r"\\(.)", _unescape_slash, found[0][1:-1], flags=re.DOTALL))
)

_blank = _element(r"\s+", "blank").suppress()
_bound = _quoted | _element(r"(?:\\.|[^\s()\"\\\]}])+", "bound").set_parse_action(
    lambda found: Text(found[0])
)
_bounds_element = (
    _element(r"[\[{]", "opening bracket")
    + pp.Opt(_blank)
    + _bound
    + _blank
    + _element(r"TO(?=\s)", "TO").suppress()
    + _blank
    + _bound
    + pp.Opt(_blank)
    + _element(r"[\]}]", "closing bracket")
).set_parse_action(_bounds)
_comparison = (_element(r"[<>]=?", "comparison") + (_quoted | _text)).set_parse_action(
    lambda found: Comparison(found[0], found[1])
)

_broken_bounds = _element(r"[\[{]", "bracket").set_parse_action(
    lambda: Broken("a range like [1 TO 5], {1 TO 5} or [1 TO *]")
)
_broken_comparison = _element(r"[<>]=?", "comparison").set_parse_action(
    lambda: Broken("a number, a time or a text right behind the comparison")
)
_broken_quote = _element(r'"', "quote").set_parse_action(lambda: Broken("a closing quote"))
_missing_value = pp.Empty().set_parse_action(
    lambda: Broken("a value right behind the colon (or \\: or quotes to search for the colon itself)")
)

_head = (
    _element(r'"(?:[^"\\]|\\.)*":|(?:\\[^\w]|[\w.@-])+:', "field")
    .add_condition(_is_field)
    .add_parse_action(_field)
)
_any_head = _element(r"\*:(?=\*(?:[\s()]|$))", "any field").suppress()
_group_head = (_head + _element(r"\(", "parenthesis").suppress()).set_parse_action(
    lambda found: FieldGroup(found[0])
)
_value = pp.Located(
    _bounds_element
    | _broken_bounds
    | _comparison
    | _broken_comparison
    | _regex
    | _quoted
    | _broken_quote
    | _text
)
_field_term = (_head + (_value | pp.Located(_missing_value))).set_parse_action(
    lambda found: Term(found[0], found[2][0], found[1])
)
_plain_term = (pp.Opt(_any_head) + pp.Located(_quoted | _broken_quote | _regex | _text)).set_parse_action(
    lambda found: Term(None, found[1][0], found[0])
)
_group_term = _value.copy().set_parse_action(lambda found: Term(None, found[1][0], found[0]))
_sign = _element(r"[()]|(?:AND|OR|NOT|&&|\|\|)" + _WORD_END + r"|[+!-]", "operator").set_parse_action(
    lambda found: Sign({"&&": "AND", "||": "OR"}.get(found[0], found[0]))
)


def _scanner(lexeme: pp.ParserElement) -> pp.ParserElement:
    located = pp.Opt(_blank) + pp.Located(lexeme | pp.StringEnd().set_parse_action(lambda: Sign("end")))
    return located.leave_whitespace().parse_with_tabs()


_LEXEME: Final = _scanner(_sign | _group_head | _field_term | _plain_term)
_GROUP_LEXEME: Final = _scanner(_sign | _group_term)


@dataclass(frozen=True, slots=True)
class Read:
    """A lexeme and where it stands in the text."""

    lexeme: Lexeme
    start: int
    end: int
    value_start: int  # behind the field's colon


def read_lexeme(text: str, position: int, in_field_group: bool) -> Read:
    """The next lexeme; inside `field:( … )` every word is a value, and has no field of its own."""
    scanner = _GROUP_LEXEME if in_field_group else _LEXEME
    start, found, end = scanner.parse_string(text[position:])
    lexeme = found[0]
    value_start = lexeme.offset if isinstance(lexeme, Term) else start
    return Read(lexeme, position + start, position + end, position + value_start)

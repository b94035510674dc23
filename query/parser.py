"""Text to tree: folds the grammar's lexemes into nodes, with a stack of its own.

Precedence, from the strongest: parentheses, then NOT, `-` and `!`, then AND (also where nothing stands
between terms), then OR. Everything is bounded (core.limits), and time is linear in the text.
"""

from dataclasses import dataclass, field

from core.errors import QuerySyntaxError
from core.limits import QUERY_CHARACTERS_MAX, QUERY_NESTING_MAX, QUERY_SIGNS_MAX, QUERY_TERMS_MAX
from query.ast import MatchAll, Node, conjunction, disjunction, negation
from query.grammar import FieldGroup, Read, Sign, Term, read_lexeme
from query.terms import TermReader, syntax_error

A_TERM = "a word, a phrase in quotes, field:value or an opening parenthesis"


def parse(text: str) -> Node:
    """The tree of a query; of nothing but blanks, every log.

    Raises QuerySyntaxError with the position, what was found and what would fit.
    """
    if len(text) > QUERY_CHARACTERS_MAX:
        raise QuerySyntaxError(
            f"the query has {len(text)} characters, at most {QUERY_CHARACTERS_MAX} are taken",
            QUERY_CHARACTERS_MAX,
        )
    for position, character in enumerate(text):
        if "\ud800" <= character <= "\udfff" or character == "\0":
            raise syntax_error(position, repr(character), "a character of Unicode text")
    return _Fold(text).parse() if text.strip() else MatchAll()


@dataclass(slots=True)
class _Group:
    """What stands between an opening parenthesis and its closing one; the outermost has none."""

    position: int
    field_name: str | None
    in_field: bool
    alternatives: list[list[Node]] = field(default_factory=lambda: [[]])
    negated: bool = False  # the next operand
    needs_operand: bool = True

    def add(self, node: Node) -> None:
        self.alternatives[-1].append(negation(node) if self.negated else node)
        self.negated = self.needs_operand = False

    def node(self) -> Node:
        return disjunction(conjunction(operands) for operands in self.alternatives)


class _Fold:
    def __init__(self, text: str) -> None:
        self._text = text
        self._terms = TermReader(text)
        self._groups = [_Group(0, None, in_field=False)]
        self._counts = {Term: 0, Sign: 0}

    def parse(self) -> Node:
        position = 0
        while True:
            read = read_lexeme(self._text, position, self._groups[-1].in_field)
            position = read.end
            match read.lexeme:
                case Term() as term:
                    self._count(Term, QUERY_TERMS_MAX, "terms", read)
                    self._term(term, read)
                case FieldGroup(name):
                    self._count(Sign, QUERY_SIGNS_MAX, "operators and parentheses", read)
                    self._open(read, name, in_field=True)
                case Sign("end"):
                    return self._end(read)
                case Sign(sign):
                    self._count(Sign, QUERY_SIGNS_MAX, "operators and parentheses", read)
                    self._sign(sign, read)

    def _count(self, kind: type[Term | Sign], most: int, what: str, read: Read) -> None:
        self._counts[kind] += 1
        if self._counts[kind] > most:
            raise syntax_error(read.start, "one more", f"at most {most} {what} in a query")

    def _term(self, term: Term, read: Read) -> None:
        group = self._groups[-1]
        name = term.field if term.field is not None else group.field_name
        group.add(self._terms.leaf(name, term.value, read.value_start, read.end))

    def _sign(self, sign: str, read: Read) -> None:
        group = self._groups[-1]
        if sign == "(":
            self._open(read, group.field_name, group.in_field)
        elif sign == ")":
            self._close(read)
        elif sign in ("AND", "OR"):
            if group.needs_operand:
                raise syntax_error(read.start, sign, A_TERM + self._quote_hint(sign))
            if sign == "OR":
                group.alternatives.append([])
            group.needs_operand = True
        else:
            self._prefix(sign, read)

    def _prefix(self, sign: str, read: Read) -> None:
        group = self._groups[-1]
        if sign != "NOT" and (not (following := self._text[read.end : read.end + 1]) or following.isspace()):
            raise syntax_error(read.start, f"a lone {sign}", f'a term right behind it, or "{sign}" in quotes')
        if sign != "+":
            group.negated = not group.negated
        group.needs_operand = True

    def _open(self, read: Read, field_name: str | None, in_field: bool) -> None:
        if len(self._groups) > QUERY_NESTING_MAX:
            raise syntax_error(
                read.start, "one more", f"at most {QUERY_NESTING_MAX} parentheses inside each other"
            )
        self._groups.append(_Group(read.start, field_name, in_field))

    def _close(self, read: Read) -> None:
        group = self._groups.pop()
        if not self._groups:
            raise syntax_error(read.start, "')'", "no closing parenthesis, as none is open")
        if group.needs_operand:
            raise syntax_error(read.start, "')'", A_TERM)
        self._groups[-1].add(group.node())

    def _end(self, read: Read) -> Node:
        group = self._groups[-1]
        if group.needs_operand:
            raise syntax_error(read.start, "the end of the query", A_TERM)
        if len(self._groups) > 1:
            raise syntax_error(
                read.start,
                "the end of the query",
                f"a closing parenthesis for the one at position {group.position}",
            )
        return group.node()

    @staticmethod
    def _quote_hint(sign: str) -> str:
        return f' (or "{sign}" in quotes to search for the word)'

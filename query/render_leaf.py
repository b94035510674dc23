"""The SQL of single terms on columns."""

from typing import Final

from core.limits import TIMESTAMP_NS_MAX
from core.packed_fields import TOKEN_VALUE_BYTES
from query.ast import Compare, FieldEquals, FieldExists, Leaf, MatchAll, Range, Wildcard, Words
from query.catalog import Field, Kind, element_text, field_named, has_tokens
from query.level_sets import levels_of
from query.literals import read_id
from query.pattern import Glob, Pattern
from query.render_test import bounds_of, time_bounds, time_ns, value_test
from query.render_values import any_value, exists
from query.statement import Binds
from query.tokens import value_texts
from query.words import fold, is_word, sequence_regex, word_patterns, words_of

FOLDED_MESSAGE: Final = "lowerUTF8(message)"


def leaf(node: Leaf, bind: Binds) -> str:
    """The condition of one term; of words that the index knows, what the index cannot tell: their order."""
    if isinstance(node, MatchAll):
        return "true"
    if isinstance(node, Words):
        return _words(node.text, bind)
    field = field_named(node.field)
    if isinstance(node, FieldExists):
        return exists(field, bind)
    if field.kind is Kind.LEVEL and isinstance(node, FieldEquals | Compare | Range | Wildcard):
        return _levels(field, levels_of(node), bind)
    if isinstance(node, FieldEquals):
        return _equals(field, node.value, bind)
    if field.kind is Kind.TIME and isinstance(node, Compare | Range):
        return time_bounds(field.sql(bind), bounds_of(node), bind)
    if field.kind is Kind.MESSAGE and isinstance(node, Wildcard):
        return _message_wildcard(node.pattern, bind)
    return any_value(field, bind, value_test(node, field.kind, bind))


def _words(text: str, bind: Binds) -> str:
    words = words_of(text)
    if not words:
        return f"position(message, {bind(text)}) > 0"
    if len(words) == 1:
        return has_tokens("All", bind(words, "Array(String)"))
    return f"match({FOLDED_MESSAGE}, {bind(sequence_regex([(word,) for word in words]))})"


def _message_wildcard(pattern: Pattern, bind: Binds) -> str:
    inner = pattern[1] if len(pattern) == 3 and pattern[0] is pattern[2] is Glob.ANY else None
    if isinstance(inner, str) and is_word(inner):
        return f"position({FOLDED_MESSAGE}, {bind(fold(inner))}) > 0"
    return f"match({FOLDED_MESSAGE}, {bind(sequence_regex(word_patterns(pattern)))})"


def _levels(field: Field, levels: tuple[str, ...], bind: Binds) -> str:
    if len(levels) == 1:
        return f"{field.column} = {bind(levels[0])}"
    return f"{field.column} IN {bind(list(levels), 'Array(String)')}" if levels else "false"


def _equals(field: Field, value: str, bind: Binds) -> str:
    if field.kind is Kind.TIME:
        return time_bounds(field.sql(bind), [(">=", value), ("<=", value)], bind)
    if field.kind is Kind.ID:
        return _id_condition(value, bind)
    if field.kind is Kind.KEYWORD:
        return f"{field.sql(bind)} = {bind(value)}"
    texts = value_texts(value)
    elements = list(map(element_text, texts))
    stored = field.sql(bind)
    whole, inside = bind(list(texts), "Array(String)"), bind(elements, "Array(String)")
    exact = (
        f"if(startsWith({stored}, '['), hasAny(JSONExtractArrayRaw({stored}), {inside}),"
        f" has({whole}, {stored}))"
    )
    if not field.indexed:
        return exact
    tokens = ", ".join(
        f"concat({bind(token(''))}, substring({bind(text)}, 1, {TOKEN_VALUE_BYTES}))"
        for token, forms in ((field.token, texts), (field.element_token, elements))
        for text in forms
    )
    return f"({has_tokens('Any', f'[{tokens}]')} AND {exact})"


def _id_condition(text: str, bind: Binds) -> str:
    """One log by its id, found through the sort key."""
    found = read_id(text)
    assert found is not None, "the parser lets nothing else through"
    if found.timestamp_ns >= TIMESTAMP_NS_MAX:
        return "false"
    return f"(timestamp = {time_ns(found.timestamp_ns, bind)} AND seq = {bind(found.seq, 'UInt64')})"

"""What of a query the text index decides by itself: tokens, any or all of which a log must have."""

from query.ast import And, Compare, FieldEquals, Node, Or, Range, Wildcard, Words
from query.catalog import TOKEN_VALUE_BYTES, Kind, field_named, json_string
from query.level_sets import levels_of
from query.literals import json_spellings
from query.words import words_of


def any_tokens(node: Node) -> tuple[str, ...] | None:
    """Tokens of which a log must have at least one, and then matches; None when the index cannot decide."""
    if isinstance(node, Or):
        operands = [any_tokens(operand) for operand in node.operands]
        found = [tokens for tokens in operands if tokens is not None]
        return tuple(dict.fromkeys(sum(found, ()))) if len(found) == len(operands) else None
    if isinstance(node, Words):
        words = words_of(node.text)
        return (words[0],) if len(words) == 1 else None
    if (
        isinstance(node, FieldEquals | Compare | Range | Wildcard)
        and field_named(node.field).kind is Kind.LEVEL
    ):
        return tuple(field_named(node.field).token(level) for level in levels_of(node))
    return _equal_tokens(node.field, node.value) if isinstance(node, FieldEquals) else None


def all_tokens(node: Node) -> tuple[str, ...] | None:
    """Tokens all of which a log must have, and then matches; None when the index cannot decide."""
    operands = node.operands if isinstance(node, And) else (node,)
    found = [any_tokens(operand) for operand in operands]
    tokens = [each[0] for each in found if each is not None and len(each) == 1]
    return tuple(dict.fromkeys(tokens)) if len(tokens) == len(operands) else None


def needed_words(node: Words) -> list[str]:
    """Words that a log must have to match, though the index does not know their order."""
    return list(dict.fromkeys(words_of(node.text)))


def value_texts(value: str) -> tuple[str, ...]:
    """The JSON texts that a value in a query equals."""
    return (json_string(value), *json_spellings(value))


def _equal_tokens(name: str, value: str) -> tuple[str, ...] | None:
    field = field_named(name)
    if not field.indexed:
        return None
    if field.kind is Kind.KEYWORD:
        return (field.token(value),)
    texts = value_texts(value)
    if max(len(text.encode()) for text in texts) > TOKEN_VALUE_BYTES:
        return None  # the token holds their beginning only
    return (*map(field.token, texts), *map(field.element_token, texts))

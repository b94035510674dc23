"""What of a query the text index decides by itself: tokens, any or all of which a log must have."""

from collections.abc import Iterator

from core.packed_fields import TOKEN_VALUE_BYTES
from query.ast import And, Compare, FieldEquals, Leaf, Node, Not, Or, Range, Wildcard, Words
from query.catalog import Kind, element_text, field_named, json_string
from query.known import NOTHING, Known
from query.level_sets import levels_of
from query.literals import json_spellings
from query.words import words_of


def any_tokens(node: Node, known: Known = NOTHING) -> tuple[str, ...] | None:
    """Tokens of which a log must have at least one, and then matches; None when the index cannot decide.

    Of tokens whose counts are known, those that no log has are left out: there may be none left.
    """
    if isinstance(node, Or):
        found = [any_tokens(operand, known) for operand in node.operands]
        tokens = [each for each in found if each is not None]
        return tuple(dict.fromkeys(sum(tokens, ()))) if len(tokens) == len(found) else None
    if isinstance(node, And | Not):
        return None
    tokens_of = known.expansions[node] if node in known.expansions else own_tokens(node)
    return None if tokens_of is None else known.present(tokens_of)


def all_tokens(node: Node, known: Known = NOTHING) -> tuple[str, ...] | None:
    """Tokens all of which a log must have, and then matches; None when the index cannot decide."""
    operands = node.operands if isinstance(node, And) else (node,)
    found = [any_tokens(operand, known) for operand in operands]
    tokens = [each[0] for each in found if each is not None and len(each) == 1]
    return tuple(dict.fromkeys(tokens)) if len(tokens) == len(operands) else None


def own_tokens(leaf: Leaf) -> tuple[str, ...] | None:
    """The same for a single term, of which nothing is known beside what it says."""
    if isinstance(leaf, Words):
        words = words_of(leaf.text)
        return (words[0],) if len(words) == 1 else None
    if (
        isinstance(leaf, FieldEquals | Compare | Range | Wildcard)
        and field_named(leaf.field).kind is Kind.LEVEL
    ):
        return tuple(field_named(leaf.field).token(level) for level in levels_of(leaf))
    return _equal_tokens(leaf.field, leaf.value) if isinstance(leaf, FieldEquals) else None


def unlikely_tokens(leaf: Leaf, tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a term's tokens that hardly any log has: `status:503` means a number, not a string."""
    if not isinstance(leaf, FieldEquals) or field_named(leaf.field).kind is not Kind.JSON:
        return ()
    texts = value_texts(leaf.value)  # the string, and the number as it was typed if it is one
    likely = field_named(leaf.field).token(texts[min(1, len(texts) - 1)])
    return tuple(token for token in tokens if token != likely)


def needed_words(node: Words) -> list[str]:
    """Words that a log must have to match, though the index does not know their order."""
    return list(dict.fromkeys(words_of(node.text)))


def value_texts(value: str) -> tuple[str, ...]:
    """The JSON texts that a value in a query equals."""
    return (json_string(value), *json_spellings(value))


def leaves(node: Node) -> Iterator[Leaf]:
    """All terms of a query."""
    if isinstance(node, And | Or):
        for operand in node.operands:
            yield from leaves(operand)
    elif isinstance(node, Not):
        yield from leaves(node.operand)
    else:
        yield node


def _equal_tokens(name: str, value: str) -> tuple[str, ...] | None:
    field = field_named(name)
    if not field.indexed:
        return None
    if field.kind is Kind.KEYWORD:
        return (field.token(value),)
    texts = value_texts(value)
    if max(len(text.encode()) for text in texts) > TOKEN_VALUE_BYTES:
        return None  # the token holds their beginning only
    return (*map(field.token, texts), *map(field.element_token, map(element_text, texts)))

"""The statements that ask the text index alone: counts of tokens, of sets of tokens, and its dictionary."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from core.packed_fields import TOKEN_VALUE_BYTES
from query.ast import And, FieldExists, Leaf, MatchAll, Not, Or, Regex, Wildcard, Words
from query.catalog import Field, Kind, field_named, has_tokens
from query.index_count import Tokens
from query.known import Filter
from query.render_test import Tested, value_test
from query.render_where import index_condition
from query.statement import Binds, Statement
from query.words import sequence_regex, word_patterns

INDEX: Final = "tokens_index"
EXPANSION_MAX: Final = 2000  # tokens that one term may stand for
EXPANSION_BUDGET_S: Final = 1.0  # past it the term is searched in the logs themselves

PARTS: Final = Statement(
    "SELECT toUnixTimestamp64Nano(min(timestamp)) AS first, toUnixTimestamp64Nano(max(timestamp)) AS last,"
    " count() AS logs FROM logs GROUP BY _part"
)


def counts_statement(filters: Iterable[Filter | Tokens]) -> Statement:
    """How many logs match each filter, or have all of its tokens: rows of place and logs, in any order.

    The filters must be such that the index counts them by itself: no logs are read.
    """
    bind = Binds()
    counts = [
        f"SELECT {place} AS place, count() AS logs FROM logs WHERE {_counted(each, bind)}"
        for place, each in enumerate(filters)
    ]
    return Statement(" UNION ALL ".join(counts), bind.values)


def _counted(each: Filter | Tokens, bind: Binds) -> str:
    if isinstance(each, Filter):
        condition = index_condition(each, bind)
        assert condition is not None, "the index counts it by itself"
        return condition
    return has_tokens("All", bind(sorted(each), "Array(String)"))


def expandable(leaf: Leaf) -> bool:
    """Whether the dictionary can tell the tokens that decide the term."""
    if isinstance(leaf, MatchAll | Words):
        return False
    field = field_named(leaf.field)
    if field.kind is Kind.MESSAGE:
        return isinstance(leaf, Wildcard) and len(word_patterns(leaf.pattern)) == 1
    if field.kind is Kind.LEVEL:
        return isinstance(leaf, FieldExists | Regex)
    return field.indexed and field.kind in (Kind.JSON, Kind.KEYWORD) and isinstance(leaf, Tested)


def expansion_statement(leaves: Sequence[Leaf], database: str, tokens_max: int) -> Statement:
    """Place of the term, token, and whether the token was cut so that the term cannot be told from it."""
    bind = Binds()
    selects = [
        _expansion(place, leaf, index_table(database, bind), tokens_max, bind)
        for place, leaf in enumerate(leaves)
    ]
    return Statement(" UNION ALL ".join(selects), bind.values, {"max_execution_time": EXPANSION_BUDGET_S})


def _expansion(place: int, leaf: Leaf, index: str, tokens_max: int, bind: Binds) -> str:
    assert not isinstance(leaf, MatchAll | Words | And | Or | Not)
    field = field_named(leaf.field)
    if isinstance(leaf, Wildcard) and field.kind is Kind.MESSAGE:
        words = bind(sequence_regex(word_patterns(leaf.pattern)))
        cut, where = "0", f"(token < '\"' OR token >= '#') AND match(token, {words})"
    else:
        assert isinstance(leaf, Tested)
        values = _values(leaf, field, bind)
        cut, where = values.cut, f"{values.there} AND {values.passes}"
    select = f"SELECT DISTINCT {place} AS place, token, {cut} AS cut FROM {index} WHERE {where}"
    return f"({select} LIMIT {tokens_max + 1})"


def few_values_statement(field: Field, database: str, values_max: int) -> Statement:
    """Whether a field has at most so many different values (of each the first 128 bytes): one row, 1 or 0."""
    bind = Binds()
    select = (
        f"SELECT DISTINCT token FROM {index_table(database, bind)}"
        f" WHERE startsWith(token, {bind(field.token(''))}) LIMIT {values_max + 1}"
    )
    return Statement(
        f"SELECT count() <= {bind(values_max, 'UInt64')} AS few FROM ({select})",
        bind.values,
        {"max_execution_time": EXPANSION_BUDGET_S},
    )


def value_count_statement(leaf: Leaf, database: str) -> Statement:
    """How many logs have a value of their field that passes, and whether that is not clear: one row.

    The dictionary adds up the logs of each value, however many values there are. It is not clear where a
    token was cut or the field holds arrays, as a log has several elements.
    """
    assert isinstance(leaf, Tested)
    bind, field = Binds(), field_named(leaf.field)
    values = _values(leaf, field, bind)
    whole = f"startsWith(token, {bind(field.token(''))})"
    sql = (
        f"SELECT sumIf(cardinality, {values.passes}), max(NOT {whole} OR ({values.passes} AND {values.cut}))"
        f" FROM {index_table(database, bind)} WHERE {values.there}"
    )
    return Statement(sql, bind.values, {"max_execution_time": EXPANSION_BUDGET_S})


@dataclass(frozen=True, slots=True)
class _Values:
    """Conditions on the dictionary's tokens: those of a field, those that pass a term or may, those cut."""

    there: str
    passes: str
    cut: str


def _values(leaf: Tested, field: Field, bind: Binds) -> _Values:
    whole, element = field.token(""), field.element_token("")
    start = len(whole.encode()) + 1
    assert len(whole) == len(element), "both prefixes end at the same place"
    value = f"substring(token, {start})"
    is_whole = f"startsWith(token, {bind(whole)})"
    if isinstance(leaf, FieldExists):
        return _Values(f"{is_whole} AND {value} != ''", "true", "0")
    cut = f"length({value}) >= {TOKEN_VALUE_BYTES}"
    passes = f"({cut} OR {value_test(leaf, field.kind, bind)(value)})"
    if field.kind is not Kind.JSON:
        return _Values(f"{is_whole} AND {value} != ''", passes, cut)
    # Of arrays the elements are tested; their tokens lie beside those of whole values.
    there = f"({is_whole} OR startsWith(token, {bind(element)})) AND {value} != ''"
    return _Values(there, f"NOT ({is_whole} AND startsWith({value}, '[')) AND {passes}", cut)


def index_table(database: str, bind: Binds) -> str:
    """The dictionary as a table: a row for each part and token."""
    return f"mergeTreeTextIndex({bind(database)}, 'logs', '{INDEX}')"

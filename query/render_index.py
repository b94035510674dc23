"""The statements that ask the text index alone: counts of tokens, of sets of tokens, and its dictionary."""

from collections.abc import Iterable, Sequence
from typing import Final

from query.ast import And, FieldExists, Leaf, MatchAll, Not, Or, Regex, Wildcard, Words
from query.catalog import TOKEN_VALUE_BYTES, TOKENS_COLUMN, Field, Kind, field_named
from query.index_count import Tokens
from query.known import Filter
from query.plan.nodes import DictionaryValues, ValueKey
from query.render_groups import shown_key
from query.render_test import Tested, value_test
from query.render_where import index_condition
from query.statement import Binds, Statement
from query.words import sequence_regex, word_patterns

INDEX: Final = "tokens_index"
EXPANSION_MAX: Final = 2000  # tokens that one term may stand for
EXPANSION_BUDGET_S: Final = 1.0  # past it the term is searched in the logs themselves

PARTS: Final = (
    "SELECT -1 AS place, toUnixTimestamp64Nano(min(timestamp)) AS first,"
    " toUnixTimestamp64Nano(max(timestamp)) AS last, count() AS logs FROM logs GROUP BY _part"
)


def knowledge_statement(filters: Sequence[Filter | Tokens]) -> Statement:
    """How many logs match each filter, or have all of its tokens; and of each part its span and its logs.

    Rows are place (-1: a part), first and last timestamp of a part (ns), and logs. The filters must be such
    that the index counts them by itself. None of it reads logs.
    """
    if not filters:
        return Statement(PARTS)
    bind = Binds()
    counts = ", ".join(f"(SELECT count() FROM logs WHERE {_counted(each, bind)})" for each in filters)
    pairs = f"SELECT arrayJoin(arrayEnumerate([{counts}] AS counts)) - 1 AS place, counts[place + 1] AS logs"
    counted = f"SELECT place, toInt64(0) AS first, toInt64(0) AS last, logs FROM ({pairs})"
    return Statement(f"{counted} UNION ALL {PARTS}", bind.values)


def sets_statement(sets: Iterable[Tokens]) -> Statement:
    """How many logs have all tokens of each set: one row."""
    bind = Binds()
    counts = [f"(SELECT count() FROM logs WHERE {_counted(each, bind)})" for each in sets]
    return Statement(f"SELECT {', '.join(counts)}", bind.values)


def _counted(each: Filter | Tokens, bind: Binds) -> str:
    if isinstance(each, Filter):
        condition = index_condition(each, bind)
        assert condition is not None, "the index counts it by itself"
        return condition
    return f"hasAllTokens({TOKENS_COLUMN}, {bind(sorted(each), 'Array(String)')})"


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
        select
        for place, leaf in enumerate(leaves)
        for select in _expansions(place, leaf, _index(database, bind), tokens_max, bind)
    ]
    return Statement(" UNION ALL ".join(selects), bind.values, {"max_execution_time": EXPANSION_BUDGET_S})


def _expansions(place: int, leaf: Leaf, index: str, tokens_max: int, bind: Binds) -> list[str]:
    assert not isinstance(leaf, MatchAll | Words | And | Or | Not)
    field = field_named(leaf.field)
    limit = f"LIMIT {tokens_max + 1}"
    if isinstance(leaf, Wildcard) and field.kind is Kind.MESSAGE:
        words = bind(sequence_regex(word_patterns(leaf.pattern)))
        condition = f"(token < '=' OR token >= '>') AND match(token, {words})"
        return [f"(SELECT DISTINCT {place} AS place, token, 0 AS cut FROM {index} WHERE {condition} {limit})"]
    assert isinstance(leaf, Tested)
    selects = []
    for prefix in _prefixes(field, leaf):
        cut, condition = _passing(leaf, field, prefix, bind)
        selects.append(
            f"(SELECT DISTINCT {place} AS place, token, {cut} AS cut FROM {index} WHERE {condition} {limit})"
        )
    return selects


def value_count_statement(leaf: Leaf, database: str) -> Statement:
    """How many logs have a value of their field that passes, and whether that is not clear: one row.

    The dictionary adds up the logs of each value, however many values there are. It is not clear where a
    token was cut or the field holds arrays, as a log has several elements.
    """
    assert isinstance(leaf, Tested)
    bind, field = Binds(), field_named(leaf.field)
    index = _index(database, bind)
    cut, condition = _passing(leaf, field, field.token(""), bind)
    elements = f"(SELECT count() FROM {index} WHERE startsWith(token, {bind(field.element_token(''))}))"
    unclear = "0" if len(_prefixes(field, leaf)) == 1 else elements
    sql = f"SELECT sum(cardinality), max({cut}) OR {unclear} > 0 FROM {index} WHERE {condition}"
    return Statement(sql, bind.values, {"max_execution_time": EXPANSION_BUDGET_S})


def _passing(leaf: Tested, field: Field, prefix: str, bind: Binds) -> tuple[str, str]:
    """Whether a token of the field was cut, and the condition of those that pass, or may."""
    value = f"substring(token, {len(prefix.encode()) + 1})"
    cut = "0" if isinstance(leaf, FieldExists) else f"length({value}) >= {TOKEN_VALUE_BYTES}"
    there = f"startsWith(token, {bind(prefix)}) AND {value} != ''"
    if prefix == field.token("") and field.kind is Kind.JSON and not isinstance(leaf, FieldExists):
        there += f" AND NOT startsWith({value}, '[')"  # of arrays the elements are tested
    return cut, f"{there} AND ({cut} OR {value_test(leaf, field.kind, bind)(value)})"


def _prefixes(field: Field, leaf: Leaf) -> list[str]:
    if field.kind is not Kind.JSON or isinstance(leaf, FieldExists):
        return [field.token("")]
    return [field.token(""), field.element_token("")]


def dictionary_statement(values: DictionaryValues, database: str) -> Statement:
    """Values (as stored) and counts of a field, by count; of each whether the index may have cut it."""
    bind = Binds()
    prefix = field_named(values.field).token("")
    cut = f"length(token) >= {len(prefix.encode()) + TOKEN_VALUE_BYTES}"
    source = f"{_index(database, bind)} WHERE startsWith(token, {bind(prefix)})"
    if values.measure == "cardinality":
        return Statement(f"SELECT uniqExact(token) AS n, max({cut}) AS cut FROM {source}", bind.values)
    value = f"substring(token, {len(prefix.encode()) + 1})"
    sql = (
        f"SELECT {shown_key(ValueKey(values.field), 'v')} AS k0, sum(c) AS n, max(cut) AS cut FROM ("
        f"SELECT {value} AS v, sum(cardinality) AS c, {cut} AS cut FROM {source} GROUP BY token)"
        f" GROUP BY k0 ORDER BY n DESC, k0 LIMIT {bind(values.top, 'UInt64')}"
    )
    return Statement(sql, bind.values)


def _index(database: str, bind: Binds) -> str:
    return f"mergeTreeTextIndex({bind(database)}, 'logs', '{INDEX}')"

"""Asks the index, before the plan is made, what it can tell at once: tokens, their counts, the parts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import SearchTimeout
from query.ast import And, FieldExists, Leaf, MatchAll, Node, Not, Or, Words
from query.catalog import TOKEN_VALUE_BYTES, Kind, field_named
from query.index_count import EVERY, Sum, Tokens, index_sum
from query.known import Filter, Known
from query.plan.facts import Part, TableFacts
from query.render_index import (
    EXPANSION_MAX,
    expandable,
    expansion_statement,
    knowledge_statement,
    sets_statement,
    value_count_statement,
)
from query.render_where import index_condition
from query.session import Session
from query.statement import Binds, Statement
from query.tokens import leaves, own_tokens

TERMS_MAX: Final = 8  # that are looked up in the dictionary: each costs the store some milliseconds
ALTERNATIVES_MAX: Final = 24  # forms of values that are counted: each costs the store some milliseconds
VALUES_MAX: Final = 48  # of a field that are counted one by one: some milliseconds each

ENGINE: Final = "SELECT engine FROM system.tables WHERE database = currentDatabase() AND name = 'logs'"


@dataclass(frozen=True, slots=True)
class Learned:
    """The filter with all that is known, and the facts of the table."""

    filter: Filter
    facts: TableFacts


async def has_dictionary(session: Session) -> bool:
    """Whether the index's dictionary can be read: not through a Distributed table."""
    rows = await session.run("table", "system", Statement(ENGINE))
    return bool(rows) and "MergeTree" in rows[0][0]


async def learn(session: Session, query: Node, dictionary: bool) -> Learned:
    """All that is known of a query; without a dictionary (a Distributed table) terms stay what they are."""
    known = Known(await _expansions(session, query) if dictionary else {})
    filter_ = Filter(query, known)
    if (
        dictionary
        and not isinstance(query, And | Or | Not)
        and query not in known.expansions
        and expandable(query)
    ):
        matching = await _value_count(session, query)  # before the parts, as every count
        parts, _ = await _ask(session, [])
        return _learned(filter_, parts, matching, dictionary)
    if index_condition(filter_, Binds()) is not None:
        parts, counts = await _ask(session, [filter_])
        return _learned(filter_, parts, counts[0], dictionary)
    by_sum = index_sum(query, known)
    if by_sum is None:
        return await _learn_slowly(session, filter_, dictionary)
    sets = [tokens for tokens in by_sum if tokens]
    parts, counts = await _ask(session, sets)
    counted = dict(zip(sets, counts, strict=True)) | {EVERY: sum(part.rows for part in parts)}
    return _learned(filter_, parts, _value(by_sum, counted), dictionary)


async def counted_sums(session: Session, part: str, sums: Sequence[Sum], logs: int) -> list[int]:
    """The value of each sum; all its sets are counted in one statement."""
    sets = list(dict.fromkeys(tokens for each in sums for tokens in each if tokens))
    counts = {EVERY: logs}
    if sets:
        (row,) = await session.run(part, "index", sets_statement(sets))
        counts |= dict(zip(sets, map(int, row), strict=True))
    return [_value(each, counts) for each in sums]


async def with_counts(session: Session, filter_: Filter) -> tuple[Filter, tuple[Part, ...]]:
    """The same filter without forms of values that no log has (`"503"` where all have 503); and the parts."""
    tokens = _alternatives(filter_)
    parts, counts = await _ask(session, [frozenset([token]) for token in tokens])
    known = Known(filter_.known.expansions, dict(zip(tokens, counts, strict=True)))
    return Filter(filter_.query, known), parts


async def _value_count(session: Session, leaf: Leaf) -> int | None:
    """The matches of a single term by its field's values; None when the dictionary cannot tell."""
    if isinstance(leaf, MatchAll | Words) or field_named(leaf.field).kind is Kind.MESSAGE:
        return None  # a message has many words
    try:
        statement = value_count_statement(leaf, session.store.database)
        ((count, unclear),) = await session.run("matching", "dictionary", statement)
    except SearchTimeout:
        session.check_time()  # it was the search's own time that ran out
        return None
    return None if unclear else int(count)


async def _learn_slowly(session: Session, filter_: Filter, dictionary: bool) -> Learned:
    filter_, parts = await with_counts(session, filter_)
    by_sum = index_sum(filter_.query, filter_.known)
    logs = sum(part.rows for part in parts)
    if by_sum is None:
        return _learned(filter_, parts, None, dictionary)
    return _learned(filter_, parts, (await counted_sums(session, "matching", [by_sum], logs))[0], dictionary)


async def _ask(session: Session, filters: Sequence[Filter | Tokens]) -> tuple[tuple[Part, ...], list[int]]:
    """The parts, and the count of each filter."""
    rows = await session.run("facts", "index" if filters else "parts", knowledge_statement(filters))
    counts = {row[0]: int(row[3]) for row in rows if row[0] >= 0}
    parts = tuple(Part(*row[1:]) for row in rows if row[0] < 0 and row[3])
    return parts, [counts[place] for place in range(len(filters))]


def _learned(filter_: Filter, parts: tuple[Part, ...], matching: int | None, dictionary: bool) -> Learned:
    return Learned(filter_, TableFacts(parts, matching, dictionary))


def _value(by_sum: Sum, counts: Mapping[Tokens, int]) -> int:
    return sum(factor * counts[tokens] for tokens, factor in by_sum.items())


def _alternatives(filter_: Filter) -> list[str]:
    """Tokens that stand for each other in a term; none when they are too many to be counted."""
    tokens = [
        token
        for leaf in leaves(filter_.query)
        if leaf not in filter_.known.expansions and len(found := own_tokens(leaf) or ()) > 1
        for token in found
    ]
    distinct = list(dict.fromkeys(tokens))
    return distinct if len(distinct) <= ALTERNATIVES_MAX else []


async def _expansions(
    session: Session, query: Node, tokens_max: int = EXPANSION_MAX
) -> dict[Leaf, tuple[str, ...]]:
    wanted = list(dict.fromkeys(filter(expandable, leaves(query))))
    if not wanted or len(wanted) > TERMS_MAX:
        return {}
    try:
        rows = await session.run(
            "terms", "dictionary", expansion_statement(wanted, session.store.database, tokens_max)
        )
    except SearchTimeout:
        session.check_time()  # it was the search's own time that ran out
        return {}
    found: dict[int, list[str]] = defaultdict(list)
    unclear = set()
    for place, token, cut in rows:
        found[place].append(token)
        if cut:
            unclear.add(place)
    return {
        leaf: tuple(found[place])
        for place, leaf in enumerate(wanted)
        if place not in unclear and len(found[place]) <= tokens_max
    }


async def value_tokens(session: Session, field: str) -> tuple[str, ...] | None:
    """The tokens of all values of a field, when they are few and whole."""
    values = (await _expansions(session, FieldExists(field), VALUES_MAX)).get(FieldExists(field))
    prefix = len(field_named(field).token("").encode())
    if values is None or any(len(token.encode()) >= prefix + TOKEN_VALUE_BYTES for token in values):
        return None
    return values

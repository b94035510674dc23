"""Asks the index, before the plan is made, what it can tell at once: tokens, their counts, the parts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.errors import SearchTimeout
from core.packed_fields import TOKEN_VALUE_BYTES
from query.ast import And, FieldExists, Leaf, MatchAll, Node, Not, Or, Words
from query.catalog import Kind, field_named
from query.index_count import EVERY, Sum, Tokens, index_sum
from query.known import Filter, Known
from query.plan.facts import Part, TableFacts
from query.render_index import (
    EXPANSION_MAX,
    PARTS,
    counts_statement,
    expandable,
    expansion_statement,
    value_count_statement,
)
from query.render_where import index_condition
from query.search import ALWAYS, TimeRange
from query.session import Session
from query.statement import Binds, Statement
from query.together import gathered
from query.tokens import leaves, own_tokens, unlikely_tokens

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


async def learn(
    session: Session, query: Node, range_: TimeRange, dictionary: bool, fresh: bool = True
) -> Learned:
    """All that is known of a query; without a dictionary (a Distributed table) terms stay what they are.

    The index knows no times: its counts are the range's only when that holds every log that was counted.
    So where they may be taken for the range's, the parts are looked at after the counts. Unless they must be
    `fresh`, parts that only tell how to slice a page are those of a moment ago.
    """
    asking = _Asking(session, range_, dictionary, fresh)
    expansions = await _expansions(session, query) if dictionary else {}
    known = Known(expansions or {}, columns=session.columns)
    # What took too long to be looked up would take as long to be counted.
    if not dictionary or expansions is None or isinstance(query, And | Or | Not) or query in known.expansions:
        return await asking.by_index(Filter(query, known))
    if expandable(query):
        return await asking.by_values(query)
    return await asking.by_index(Filter(query, known))


@dataclass(frozen=True, slots=True)
class _Asking:
    """The ways to learn, from the cheapest on."""

    session: Session
    range: TimeRange
    dictionary: bool
    fresh: bool

    async def by_values(self, leaf: Leaf) -> Learned:
        """A term that too many values pass is counted by the values of its field."""
        matching = await _value_count(self.session, leaf)  # before the parts, as every count
        filter_ = Filter(leaf, Known(columns=self.session.columns))
        return self.learned(filter_, self.remembered() or await self.parts(), matching)

    async def by_index(self, filter_: Filter) -> Learned:
        """The index counts the query as it is, or as a sum over sets of tokens."""
        if index_condition(filter_, Binds()) is not None:
            parts, (matching,) = await self.parts_and_counts([filter_])
            return self.learned(filter_, parts, matching)
        by_sum = index_sum(filter_.query, filter_.known)
        if by_sum is None:
            return await self.by_alternatives(filter_)
        return await self.by_sum(filter_, by_sum)

    async def by_alternatives(self, filter_: Filter) -> Learned:
        """Forms of values that no log has are found out, which makes the sum shorter."""
        filter_ = await with_counts(self.session, filter_)
        by_sum = index_sum(filter_.query, filter_.known)
        if by_sum is None:
            return self.learned(filter_, self.remembered() or await self.parts(), None)
        return await self.by_sum(filter_, by_sum)

    async def by_sum(self, filter_: Filter, by_sum: Sum) -> Learned:
        """One statement for all sets of the sum."""
        sets = [tokens for tokens in by_sum if tokens]
        parts, counts = await self.parts_and_counts(sets, fresh=EVERY in by_sum)
        counted = dict(zip(sets, counts, strict=True)) | {EVERY: sum(part.rows for part in parts)}
        return self.learned(filter_, parts, _value(by_sum, counted))

    async def parts_and_counts(
        self, filters: Sequence[Filter | Tokens], fresh: bool = False
    ) -> tuple[tuple[Part, ...], list[int]]:
        """The parts, and the count of each filter."""
        if remembered := () if fresh else self.remembered():
            return remembered, await _counts(self.session, "matching", filters)
        if not filters:
            return await self.parts(), []
        parts, counts = await gathered(self.parts(), _counts(self.session, "matching", filters))
        if self.range != ALWAYS and self.range.covers(TableFacts(parts).span):
            parts = await self.parts()  # as they are after the counts
        return parts, counts

    def remembered(self) -> tuple[Part, ...]:
        """The parts of a moment ago, when nothing but the slices of a page depends on them."""
        remembered = self.session.remembered
        parts = () if self.fresh or remembered is None else remembered.recall_parts()
        held = self.range != ALWAYS and self.range.covers(TableFacts(parts).span)
        return () if held else parts

    async def parts(self) -> tuple[Part, ...]:
        """Time and rows of each part of the table."""
        rows = await self.session.run("facts", "parts", PARTS)
        parts = tuple(Part(*row) for row in rows if row[2])
        if self.session.remembered is not None:
            self.session.remembered.keep_parts(parts)
        return parts

    def learned(self, filter_: Filter, parts: tuple[Part, ...], matching: int | None) -> Learned:
        """All of it."""
        return Learned(filter_, TableFacts(parts, matching, self.dictionary))


async def table_facts(session: Session) -> TableFacts:
    """The parts alone."""
    return TableFacts(await _Asking(session, ALWAYS, dictionary=False, fresh=True).parts())


async def counted_sums(session: Session, part: str, sums: Sequence[Sum], logs: int) -> list[int]:
    """The value of each sum; all its sets are counted in one statement."""
    sets = list(dict.fromkeys(tokens for each in sums for tokens in each if tokens))
    counted = dict(zip(sets, await _counts(session, part, sets), strict=True)) | {EVERY: logs}
    return [_value(each, counted) for each in sums]


async def with_counts(session: Session, filter_: Filter) -> Filter:
    """The same filter without forms of values that no log has (`"503"` where all have 503).

    The unlikely forms of a value are counted at once; one by one only where some log has one of them.
    """
    forms = _forms(filter_)
    unlikely = {leaf: found for leaf, tokens in forms.items() if (found := unlikely_tokens(leaf, tokens))}
    any_of = [Filter(leaf, Known({leaf: tokens})) for leaf, tokens in unlikely.items()]
    together = dict(zip(unlikely, await _counts(session, "forms", any_of), strict=True))
    absent = [token for leaf, tokens in unlikely.items() if not together[leaf] for token in tokens]
    unclear = [token for leaf, tokens in forms.items() if together.get(leaf) != 0 for token in tokens]
    singly = await _counts(session, "forms", [frozenset([token]) for token in unclear])
    counts = dict.fromkeys(absent, 0) | dict(zip(unclear, singly, strict=True))
    return Filter(filter_.query, replace(filter_.known, counts=counts))


async def _counts(session: Session, part: str, filters: Sequence[Filter | Tokens]) -> list[int]:
    if not filters:
        return []
    counts = {
        int(place): int(logs) for place, logs in await session.run(part, "index", counts_statement(filters))
    }
    return [counts[place] for place in range(len(filters))]


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


def _value(by_sum: Sum, counts: Mapping[Tokens, int]) -> int:
    return sum(factor * counts[tokens] for tokens, factor in by_sum.items())


def _forms(filter_: Filter) -> dict[Leaf, tuple[str, ...]]:
    """Tokens that stand for each other in a term; none when they are too many to be counted."""
    forms = {
        leaf: found
        for leaf in leaves(filter_.query)
        if leaf not in filter_.known.expansions and len(found := own_tokens(leaf) or ()) > 1
    }
    return forms if sum(map(len, forms.values())) <= ALTERNATIVES_MAX else {}


async def _expansions(
    session: Session, query: Node, tokens_max: int = EXPANSION_MAX
) -> dict[Leaf, tuple[str, ...]] | None:
    """Tokens of the terms that the dictionary decides; None when it is too large to be read in time."""
    wanted = list(dict.fromkeys(filter(expandable, leaves(query))))
    if not wanted or len(wanted) > TERMS_MAX:
        return {}
    try:
        rows = await session.run(
            "terms", "dictionary", expansion_statement(wanted, session.store.database, tokens_max)
        )
    except SearchTimeout:
        session.check_time()  # it was the search's own time that ran out
        return None
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
    found = await _expansions(session, FieldExists(field), VALUES_MAX)
    values = (found or {}).get(FieldExists(field))
    prefix = len(field_named(field).token("").encode())
    if values is None or any(len(token.encode()) >= prefix + TOKEN_VALUE_BYTES for token in values):
        return None
    return values

"""Asks the index, before the plan is made, what it can tell at once: tokens, their counts, the parts."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from core.errors import SearchTimeout
from query.ast import Leaf, Node
from query.index_count import EVERY, Sum, index_sum
from query.known import Filter, Known
from query.plan.facts import Part, TableFacts
from query.render import matching_statement
from query.render_index import (
    EXPANSION_MAX,
    expandable,
    expansion_statement,
    knowledge_statement,
    sets_statement,
)
from query.session import Session
from query.tokens import leaves, own_tokens

TOKENS_MAX = 8 * EXPANSION_MAX  # whose counts are asked for


@dataclass(frozen=True, slots=True)
class Learned:
    """The filter with all that is known, and the facts of the table."""

    filter: Filter
    facts: TableFacts


async def learn(session: Session, query: Node, dictionary: bool) -> Learned:
    """All that is known of a query; without a dictionary (a Distributed table) parts and matches only."""
    expansions = await _expansions(session, query) if dictionary else {}
    wanted = _tokens(query, expansions) if dictionary else []
    statement = knowledge_statement(wanted, session.store.database)
    rows = await session.run("facts", "index" if wanted else "parts", statement)
    counts = {row[0]: int(row[3]) for row in rows if row[0]}
    parts = tuple(Part(*row[1:]) for row in rows if not row[0] and row[3])
    known = Known(expansions, counts if dictionary and len(wanted) <= TOKENS_MAX else None)
    filter_ = Filter(query, known)
    logs = sum(part.rows for part in parts)
    return Learned(filter_, TableFacts(parts, await _matching(session, filter_, logs), dictionary))


async def counted(session: Session, part: str, sums: Iterable[Sum], known: Known, logs: int) -> list[int]:
    """The value of each sum: single tokens are known, sets are counted in one statement."""
    sums = list(sums)
    sets = list(dict.fromkeys(tokens for each in sums for tokens in each if len(tokens) > 1))
    counts = {EVERY: logs} | {frozenset([token]): count for token, count in (known.counts or {}).items()}
    if sets:
        (row,) = await session.run(part, "index", sets_statement(sets))
        counts |= dict(zip(sets, map(int, row), strict=True))
    return [sum(factor * counts.get(tokens, 0) for tokens, factor in each.items()) for each in sums]


async def _matching(session: Session, filter_: Filter, logs: int) -> int | None:
    if filter_.known.counts is not None:
        by_sum = index_sum(filter_.query, filter_.known)
        if by_sum is not None:
            return (await counted(session, "matching", [by_sum], filter_.known, logs))[0]
    statement = matching_statement(filter_)
    if statement is None:
        return None
    ((matching,),) = await session.run("matching", "index", statement)
    return int(matching)


async def _expansions(session: Session, query: Node) -> dict[Leaf, tuple[str, ...]]:
    wanted = list(dict.fromkeys(filter(expandable, leaves(query))))
    if not wanted:
        return {}
    try:
        rows = await session.run("terms", "dictionary", expansion_statement(wanted, session.store.database))
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
        if place not in unclear and len(found[place]) <= EXPANSION_MAX
    }


def _tokens(query: Node, expansions: dict[Leaf, tuple[str, ...]]) -> list[str]:
    tokens = [token for leaf in leaves(query) for token in (expansions.get(leaf) or own_tokens(leaf) or ())]
    return list(dict.fromkeys(tokens))

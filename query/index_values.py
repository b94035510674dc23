"""Top values of a field among the logs that match, counted by the index value by value."""

from collections import Counter

import orjson

from query.aggregation_answer import Rows
from query.catalog import Kind, field_named
from query.index_count import Sum, TooManySets, index_sum, product
from query.learning import Learned, counted_sums, value_tokens, with_counts
from query.plan.nodes import IndexValues
from query.session import Session

SETS_MAX = 48  # that are counted for one aggregation: some milliseconds each


async def values_by_index(session: Session, learned: Learned, values: IndexValues, part: str) -> Rows | None:
    """Value as shown and count, most frequent first; None when the index cannot tell, or too dearly."""
    filter_ = learned.filter
    query_sum = index_sum(filter_.query, filter_.known)
    if query_sum is None:
        filter_ = await with_counts(session, filter_)
        query_sum = index_sum(filter_.query, filter_.known)
    tokens = None if query_sum is None else await value_tokens(session, values.field)
    if query_sum is None or tokens is None or len(tokens) * len(query_sum) > SETS_MAX:
        return None
    try:
        sums: list[Sum] = [product(query_sum, {frozenset([token]): 1}) for token in tokens]
    except TooManySets:
        return None
    counts: Counter[str] = Counter()
    found = await counted_sums(session, part, sums, learned.facts.rows)
    for token, count in zip(tokens, found, strict=True):
        counts[_shown(values.field, token)] += count
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))
    return [(value, count) for value, count in ordered if count > 0][: values.top]


def _shown(field: str, token: str) -> str:
    stored = token.removeprefix(field_named(field).token(""))
    if field_named(field).kind is Kind.JSON and stored.startswith('"'):
        text: str = orjson.loads(stored)
        return text
    return stored

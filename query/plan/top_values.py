"""The rule for the top values of a field."""

from query.aggregation_request import TermsRequest
from query.catalog import Kind, field_named
from query.plan.facts import TableFacts
from query.plan.nodes import (
    COUNT,
    DAY_NS,
    DAYS_END_NS,
    DictionaryValues,
    Groups,
    IndexValues,
    Traits,
    ValueKey,
)
from query.plan.pieces import count_pieces, whole_and_edges
from query.search import ALWAYS, TimeRange


def top_values(
    request: TermsRequest, range_: TimeRange, traits: Traits, facts: TableFacts
) -> Groups | DictionaryValues | IndexValues:
    """The rollup for level and service, the dictionary for fields of all logs, the index, else the table."""
    keys = (ValueKey(request.field),)
    groups = Groups(count_pieces(range_, traits, facts, keys), keys, COUNT, request.size)
    if dictionary_knows(request.field, traits, facts):
        if range_.covers(facts.span):
            guard = None if range_ == ALWAYS else range_
            return DictionaryValues(request.field, "count", request.size, guard, otherwise=groups)
        by_days = _by_days(request, range_, facts, groups)
        if by_days is not None:
            return by_days
    if groups.source == "table" and index_counts(request.field, range_, traits, facts):
        return IndexValues(request.field, request.size, groups)
    return groups


def index_counts(field: str, range_: TimeRange, traits: Traits, facts: TableFacts) -> bool:
    """Whether the index can count each value among the matches: it knows no times."""
    return (
        facts.dictionary
        and traits.by_index
        and field_named(field).indexed
        and field_named(field).kind is not Kind.MESSAGE
        and range_.covers(facts.span)
    )


def dictionary_knows(field: str, traits: Traits, facts: TableFacts) -> bool:
    """Whether the dictionary has the counts of the field's values: it knows nothing of other conditions."""
    return facts.dictionary and traits.everything and field_named(field).kind is Kind.JSON


def _by_days(
    request: TermsRequest, range_: TimeRange, facts: TableFacts, groups: Groups
) -> DictionaryValues | None:
    """Whole days by the dictionary, the rest by the table; None without a whole day.

    Where the range begins before the first log, or ends after the last, the whole day is in it.
    """
    span = facts.span
    from_first, to_last = range_.from_ns <= span.from_ns, range_.until_ns >= span.until_ns
    wider = TimeRange(
        ALWAYS.from_ns if from_first else range_.from_ns, ALWAYS.until_ns if to_last else range_.until_ns
    )
    days, *edges = whole_and_edges(wider, DAY_NS, "dictionary")
    if days.source != "dictionary" or not facts.rows_in(days.range) or span.until_ns > DAYS_END_NS:
        return None
    guard = TimeRange(
        range_.from_ns if from_first else ALWAYS.from_ns, range_.until_ns if to_last else ALWAYS.until_ns
    )
    return DictionaryValues(
        request.field,
        "count",
        request.size,
        None if guard == ALWAYS else guard,
        otherwise=groups,
        days=days.range,
        edges=tuple(edges),
    )

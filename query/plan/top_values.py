"""The rule for the top values of a field."""

from query.aggregation_request import TermsRequest
from query.catalog import Kind, field_named
from query.plan.facts import TableFacts
from query.plan.nodes import COUNT, DictionaryValues, Groups, IndexValues, Traits, ValueKey
from query.plan.pieces import count_pieces
from query.search import ALWAYS, TimeRange


def top_values(
    request: TermsRequest, range_: TimeRange, traits: Traits, facts: TableFacts
) -> Groups | DictionaryValues | IndexValues:
    """The rollup for level and service, the dictionary for fields of all logs, the index, else the table."""
    keys = (ValueKey(request.field),)
    groups = Groups(count_pieces(range_, traits, keys), keys, COUNT, request.size)
    if not dictionary_answers(request.field, range_, traits, facts):
        if groups.source == "table" and index_counts(request.field, range_, traits, facts):
            return IndexValues(request.field, request.size, groups)
        return groups
    guard = None if range_ == ALWAYS else range_
    return DictionaryValues(request.field, "count", request.size, guard, otherwise=groups)


def index_counts(field: str, range_: TimeRange, traits: Traits, facts: TableFacts) -> bool:
    """Whether the index can count each value among the matches: it knows no times."""
    return (
        facts.dictionary
        and traits.by_index
        and field_named(field).indexed
        and field_named(field).kind is not Kind.MESSAGE
        and range_.covers(facts.span)
    )


def dictionary_answers(field: str, range_: TimeRange, traits: Traits, facts: TableFacts) -> bool:
    """Whether the dictionary's counts are those of this search: it knows whole parts only."""
    return (
        facts.dictionary
        and traits.everything
        and field_named(field).kind is Kind.JSON
        and range_.covers(facts.span)
    )

"""The rule for aggregations: each becomes groups and a measure, and what is aggregated inside them."""

from query.aggregation_request import (
    AggregationRequest,
    Bucketed,
    CardinalityRequest,
    HistogramRequest,
    MissingRequest,
    PercentilesRequest,
    StatsRequest,
    TermsRequest,
)
from query.catalog import Kind, field_named
from query.plan.facts import TableFacts
from query.plan.histogram import histogram, histogram_key, is_open
from query.plan.nodes import (
    COUNT,
    Buckets,
    DictionaryValues,
    Groups,
    IndexValues,
    Key,
    Measure,
    Traits,
    ValueKey,
)
from query.plan.pieces import count_pieces
from query.plan.top_values import dictionary_knows, top_values
from query.search import ALWAYS, TimeRange

NUMBERS_NEEDED = "field must hold numbers"


def aggregation(
    name: str, request: AggregationRequest, range_: TimeRange, traits: Traits, facts: TableFacts
) -> Buckets:
    """The plan of one aggregation. Raises ValueError with the reason when its field does not fit."""
    groups: Groups | DictionaryValues | IndexValues
    if isinstance(request, TermsRequest):
        _check_values(request)
        groups = top_values(request, range_, traits, facts)
    elif isinstance(request, HistogramRequest):
        groups = histogram(request, range_, traits, facts)
    else:
        groups = _measured(request, range_, traits, facts)
    inner: tuple[Buckets, ...] = ()
    if isinstance(request, Bucketed):
        key = (groups if isinstance(groups, Groups) else groups.otherwise).keys[0]
        inner = tuple(
            _inside(key, each, under, range_, traits, facts) for each, under in request.aggregations.items()
        )
    time_zone = request.time_zone if isinstance(request, HistogramRequest) else "UTC"
    return Buckets(name, groups, inner, is_open(range_), time_zone)


def _inside(
    key: Key, name: str, request: AggregationRequest, range_: TimeRange, traits: Traits, facts: TableFacts
) -> Buckets:
    """The same for each value of an outer key."""
    measure, top = COUNT, None
    keys: tuple[Key, ...] = (key,)
    if isinstance(request, TermsRequest):
        _check_values(request)
        keys, top = (key, ValueKey(request.field)), request.size
    elif isinstance(request, HistogramRequest):
        keys = (key, histogram_key(request, range_, facts))
    else:
        measure = measure_of(request)
    pieces = count_pieces(range_, traits, facts, keys, measure)
    time_zone = request.time_zone if isinstance(request, HistogramRequest) else "UTC"
    return Buckets(name, Groups(pieces, keys, measure, top), (), is_open(range_), time_zone)


def _measured(
    request: AggregationRequest, range_: TimeRange, traits: Traits, facts: TableFacts
) -> Groups | DictionaryValues:
    measure = measure_of(request)
    groups = Groups(count_pieces(range_, traits, facts, (), measure), (), measure)
    if (
        measure.kind == "cardinality"
        and dictionary_knows(request.field, traits, facts)
        and range_.covers(facts.span)
    ):
        return DictionaryValues(
            request.field, "cardinality", 1, None if range_ == ALWAYS else range_, otherwise=groups
        )
    return groups


def _check_values(request: TermsRequest) -> None:
    if field_named(request.field).kind in (Kind.TIME, Kind.ID):
        raise ValueError("field must hold values that repeat: take a histogram of times")


def measure_of(request: AggregationRequest) -> Measure:
    """The measure of an aggregation without buckets. Raises ValueError when its field holds no numbers."""
    if isinstance(request, (StatsRequest, PercentilesRequest)):
        if field_named(request.field).kind is not Kind.JSON:
            raise ValueError(NUMBERS_NEEDED)
        percents = request.percents if isinstance(request, PercentilesRequest) else ()
        return Measure(request.type, request.field, percents)
    assert isinstance(request, (CardinalityRequest, MissingRequest)), "the others have keys"
    return Measure(request.type, request.field)

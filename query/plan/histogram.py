"""The rule for histograms: buckets of time, or of the numbers in a field."""

from zoneinfo import ZoneInfo

from query.aggregation_request import HistogramRequest
from query.catalog import Kind, field_named
from query.intervals import auto_interval, bucket_edges, parse_interval
from query.plan.facts import TableFacts
from query.plan.nodes import Groups, Key, NumberKey, TimeKey, Traits
from query.plan.pieces import count_pieces
from query.search import TimeRange
from query.times import SECOND_NS


def histogram(request: HistogramRequest, range_: TimeRange, traits: Traits, facts: TableFacts) -> Groups:
    """Counts by bucket. Raises ValueError when the interval does not fit the field or the range."""
    key = histogram_key(request, range_, facts)
    return Groups(count_pieces(range_, traits, facts, (key,)), (key,))


def histogram_key(request: HistogramRequest, range_: TimeRange, facts: TableFacts) -> Key:
    """The buckets themselves. Raises ValueError with the reason."""
    kind = field_named(request.field).kind
    if kind is Kind.JSON:
        if isinstance(request.interval, str):
            raise ValueError("interval must be a number for this field")
        return NumberKey(request.field, request.interval)
    if request.field != "timestamp":
        raise ValueError("field must be timestamp or hold numbers")
    if not isinstance(request.interval, str):
        raise ValueError("interval must be text as 1h or auto for timestamp")
    span = bucketed_range(range_, facts)
    interval = (
        auto_interval(span.until_ns - span.from_ns)
        if request.interval == "auto"
        else parse_interval(request.interval)
    )
    zone = ZoneInfo(request.time_zone)
    return TimeKey(bucket_edges(span.from_ns, span.until_ns, interval, zone))


def bucketed_range(range_: TimeRange, facts: TableFacts) -> TimeRange:
    """The range from its first to its last bucket: where it is open, the logs' own."""
    span = facts.span
    if span.empty:
        span = TimeRange(range_.from_ns, range_.from_ns + SECOND_NS)
    from_ns = range_.from_ns if range_.from_ns > 0 else min(span.from_ns, range_.until_ns - 1)
    until_ns = range_.until_ns if range_.until_ns < TimeRange().until_ns else max(span.until_ns, from_ns + 1)
    return TimeRange(from_ns, max(until_ns, from_ns + 1))


def is_open(range_: TimeRange) -> bool:
    """One end is not given, so that buckets are shown between the first and the last log only."""
    return range_.from_ns <= 0 or range_.until_ns >= TimeRange().until_ns

"""A search as the planner takes it: the request with its query parsed and its times resolved."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from core.errors import InvalidSearch
from core.limits import TIMESTAMP_NS_MAX, TIMESTAMP_NS_MIN
from query.aggregation_request import AggregationRequest
from query.ast import Node
from query.iso import iso
from query.literals import read_id
from query.now import resolve_now
from query.parser import parse
from query.request import RangeRequest, SearchRequest, Time
from query.times import EPOCH_MIN, SECOND_NS, Span, read_time

Order = Literal["desc", "asc"]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `from_ns` to just before `until_ns`, in ns since 1970."""

    from_ns: int = TIMESTAMP_NS_MIN
    until_ns: int = TIMESTAMP_NS_MAX

    def __str__(self) -> str:
        return f"[{iso(self.from_ns)}, {iso(self.until_ns)})"

    @property
    def empty(self) -> bool:
        """No instant is in it."""
        return self.from_ns >= self.until_ns

    def covers(self, other: "TimeRange") -> bool:
        """All of the other range is in this one."""
        return other.empty or (self.from_ns <= other.from_ns and other.until_ns <= self.until_ns)

    def intersection(self, other: "TimeRange") -> "TimeRange":
        """What both have in common; it may be empty."""
        return TimeRange(max(self.from_ns, other.from_ns), min(self.until_ns, other.until_ns))


ALWAYS: Final = TimeRange()


@dataclass(frozen=True, slots=True)
class Position:
    """A log's place in the order of all logs: equal timestamps are told apart by `seq`. Prints as its id."""

    timestamp_ns: int
    seq: int

    def __str__(self) -> str:
        return f"{self.timestamp_ns:016x}-{self.seq:016x}"


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched, and which parts of the answer are wanted."""

    query: Node
    range: TimeRange = ALWAYS
    order: Order = "desc"
    limit: int = 100
    offset: int = 0
    after: Position | None = None
    fields: tuple[str, ...] | None = None
    highlight: bool = True
    count: Literal["auto", "exact", "none"] = "auto"
    aggregations: tuple[tuple[str, AggregationRequest], ...] = ()
    explain: bool = False
    timeout_s: float = 30.0


def search_of(request: RangeRequest, now_ns: int, timeout_s: float, timeout_max_s: float) -> Search:
    """Parse the query and resolve the times. Raises QuerySyntaxError and InvalidSearch."""
    search = Search(
        query=resolve_now(parse(request.query), now_ns),
        range=range_of(request, now_ns),
        timeout_s=min(request.timeout or timeout_s, timeout_max_s),
    )
    if not isinstance(request, SearchRequest):
        return search
    return replace(
        search,
        order=request.order,
        limit=request.limit,
        offset=request.offset,
        after=None if request.cursor is None else position_of(request.cursor),
        fields=request.fields,
        highlight=request.highlight,
        count=request.count,
        aggregations=tuple(request.aggregations.items()),
        explain=request.explain,
    )


def range_of(request: RangeRequest, now_ns: int) -> TimeRange:
    """The range from `from` to `to`, which is included for as long as it lasts as written.

    `23:59:59Z` stands for that whole second and `2024-01-15` for that whole day, as it does for a person
    (and in Elasticsearch); `now` and `now-15m` end at that very instant. Raises InvalidSearch.
    """
    problems, bounds = {}, [TIMESTAMP_NS_MIN, TIMESTAMP_NS_MAX]
    for index, (path, value) in enumerate((("from", request.from_), ("to", request.to))):
        if value is None:
            continue
        span = _span(value, now_ns)
        if span is None:
            problems[path] = (
                "is not a time between 1970 and 2200: write 2024-01-15T10:00:00Z, an epoch or now-15m"
            )
        else:
            bounds[index] = min(span.end_ns, TIMESTAMP_NS_MAX) if index else span.start_ns
    if problems:
        raise InvalidSearch(problems)
    if bounds[0] > bounds[1]:
        raise InvalidSearch({"from": "is after to"})
    return TimeRange(*bounds)


def position_of(text: str) -> Position | None:
    """The position that an id or a cursor names; None when it names none."""
    found = read_id(text)
    return None if found is None or found.seq >= 2**64 else Position(found.timestamp_ns, found.seq)


def _span(value: Time, now_ns: int) -> Span | None:
    if isinstance(value, str):
        return read_time(value.strip(), now_ns)
    if isinstance(value, float):
        value_text = format(value, ".9f").rstrip("0").rstrip(".")
        return read_time(value_text, now_ns)
    if 0 <= value < EPOCH_MIN:  # too short to be a time in a query, where any number may stand
        return Span(value * SECOND_NS, (value + 1) * SECOND_NS)
    return read_time(str(value), now_ns)

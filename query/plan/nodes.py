"""The plan: frozen nodes that say what is asked of which source; query.render alone writes them as SQL."""

from dataclasses import dataclass
from typing import Final, Literal

from query.search import Order, Position, TimeRange

Source = Literal["rollup", "hourly rollup", "table", "dictionary"]

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS
DAYS_END_NS: Final = 65_000 * DAY_NS  # 2147: the table's parts are of days, which wrap after 2149-06-06


@dataclass(frozen=True, slots=True)
class Traits:
    """What a query is, as far as it decides who can answer it."""

    everything: bool  # it matches every log
    by_index: bool  # the text index alone decides it
    by_rollup: bool  # it speaks of level and service only


@dataclass(frozen=True, slots=True)
class ValueKey:
    """Group by the value of a field; logs without it are left out."""

    field: str


@dataclass(frozen=True, slots=True)
class TimeKey:
    """Group by time: bucket i lasts from edges[i] to edges[i + 1] (ns)."""

    edges: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NumberKey:
    """Group the numbers in a field by `width`; the key is the lower end of the bucket."""

    field: str
    width: float


Key = ValueKey | TimeKey | NumberKey


@dataclass(frozen=True, slots=True)
class Measure:
    """What is computed of each group; `field` is None for the plain count."""

    kind: Literal["count", "stats", "percentiles", "cardinality", "missing"] = "count"
    field: str | None = None
    percents: tuple[float, ...] = ()


COUNT: Final = Measure()


@dataclass(frozen=True, slots=True)
class Piece:
    """A range that one source answers."""

    source: Source
    range: TimeRange


@dataclass(frozen=True, slots=True)
class Groups:
    """Group what matches, piece by piece, and measure each group.

    `top` keeps the largest groups (of the last key, for each value of the keys before it).
    """

    pieces: tuple[Piece, ...]
    keys: tuple[Key, ...] = ()
    measure: Measure = COUNT
    top: int | None = None

    @property
    def source(self) -> Source:
        """The source of most of the answer."""
        return self.pieces[0].source


@dataclass(frozen=True, slots=True)
class DictionaryValues:
    """The values of a field with their counts, from the index's dictionary: of all parts or of `days`.

    Counts in `edges`, before and after the days, are the table's. Values longer than the index keeps cannot
    be told apart there: then `otherwise` is asked instead. So it is when a log outside the `guard` has come
    meanwhile: the dictionary knows the days of its parts, and no times.
    """

    field: str
    measure: Literal["count", "cardinality"]
    top: int
    guard: TimeRange | None
    otherwise: Groups
    days: TimeRange | None = None
    edges: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexValues:
    """The values of a field among the logs that match, each counted by the index: where the field has few.

    What the dictionary does not hold whole, and what has too many values, is asked of `otherwise`.
    """

    field: str
    top: int
    otherwise: Groups


@dataclass(frozen=True, slots=True)
class Total:
    """How many logs match; with a `budget_s`, at least how many: slices are counted until it is used up."""

    groups: Groups
    budget_s: float | None = None
    slices: tuple[TimeRange, ...] = ()


@dataclass(frozen=True, slots=True)
class TotalOfPage:
    """The page will hold every match, so that counting its logs is enough, unless it comes out full."""

    otherwise: Total


@dataclass(frozen=True, slots=True)
class TotalKnown:
    """All logs lie in the range, and the index has counted those that match before the plan was made."""

    total: int


@dataclass(frozen=True, slots=True)
class Page:
    """The logs: time slices, asked one after the other until the page is full.

    `few` logs are found by the index alone, also those of a level: the sort key has it in every hour.
    """

    slices: tuple[TimeRange, ...]
    order: Order
    limit: int
    offset: int
    after: Position | None
    few: bool = False


@dataclass(frozen=True, slots=True)
class Buckets:
    """One aggregation: its groups, and what is computed inside each of them."""

    name: str
    groups: Groups | DictionaryValues | IndexValues
    inner: tuple["Buckets", ...] = ()
    # Only for time: show buckets from the first to the last that is not empty, not all of them.
    trim: bool = False
    time_zone: str = "UTC"

    @property
    def by_table(self) -> Groups:
        """The same groups as any source must give them."""
        return self.groups if isinstance(self.groups, Groups) else self.groups.otherwise


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a search asks for."""

    page: Page | None
    total: Total | TotalOfPage | TotalKnown | None
    aggregations: tuple[Buckets, ...] = ()

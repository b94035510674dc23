"""The rule for pages: time slices from the newest (or oldest) on, so that a page reads what it shows.

The table is sorted by hour, service and level: its newest logs come out fast only within a short time.
"""

from bisect import bisect_left
from typing import Final

from query.plan.facts import TableFacts
from query.plan.nodes import HOUR_NS, MINUTE_NS
from query.search import Order, Search, TimeRange
from query.times import SECOND_NS

ROWS_FIRST: Final = 100_000  # of the first slice when nothing says how many of them match: some ms to scan
ROWS_LEAST: Final = 20_000  # less does not make a slice cheaper
GROWTH: Final = 4  # each slice holds so many times the rows of the one before
SLICES_MAX: Final = 7  # the last one is all that remains
MARGIN: Final = 1.5  # how much more than expected to read, so that one slice usually does
COUNT_ROWS_FIRST: Final = 1_000_000
COUNT_GROWTH: Final = 2  # little is lost when the time ends in the middle of one
# The index tells which granules to visit, but first reads its lists of the whole part, for each slice again.
COUNT_GROWTH_BY_INDEX: Final = 4
FETCH_ALL: Final = 500  # so few matches are sorted faster than they are sliced, wherever they lie


def page_slices(search: Search, facts: TableFacts) -> tuple[TimeRange, ...]:
    """Ranges that together are the page's range, in the order in which they are to be asked.

    They are sized in rows, by the parts of the table: a time without logs costs nothing.
    """
    whole = page_range(search)
    wanted = search.offset + search.limit
    if whole.empty or search.limit == 0:
        return ()
    if facts.matching is None:
        rows: float = ROWS_FIRST
    elif facts.matching <= max(FETCH_ALL, wanted):
        return (whole,)
    else:
        rows = max(ROWS_LEAST, MARGIN * wanted * facts.rows / facts.matching)
    # An open end is no reason to read a whole hour: slices are measured from where logs are.
    return _cut(whole, whole.intersection(facts.span), facts, rows, search.order)


def newest_range(range_: TimeRange, facts: TableFacts, rows: int) -> TimeRange:
    """The newest part of a range that holds about so many rows."""
    density = _Density(facts, range_)
    held = range_.intersection(facts.span)
    edge = _aligned(density.time_at(density.rows - rows), held.until_ns, down=True)
    return TimeRange(max(edge, range_.from_ns), range_.until_ns)


def count_slices(range_: TimeRange, facts: TableFacts, by_index: bool) -> tuple[TimeRange, ...]:
    """Ranges that together are the range, newest first, so that what was counted in time is known."""
    growth = COUNT_GROWTH_BY_INDEX if by_index else COUNT_GROWTH
    return _cut(range_, range_, facts, COUNT_ROWS_FIRST, "desc", growth)


def page_range(search: Search) -> TimeRange:
    """The search's range, less what lies on the other side of the cursor."""
    if search.after is None:
        return search.range
    at = search.after.timestamp_ns
    beyond = TimeRange(until_ns=at + 1) if search.order == "desc" else TimeRange(from_ns=at)
    return search.range.intersection(beyond)


def _cut(
    whole: TimeRange, held: TimeRange, facts: TableFacts, rows: float, order: Order, growth: int = GROWTH
) -> tuple[TimeRange, ...]:
    """Slices that together are `whole`; how long one lasts is told from the ends of what is `held`."""
    density = _Density(facts, whole)
    slices: list[TimeRange] = []
    rest, done = whole, 0.0
    while len(slices) < SLICES_MAX - 1:
        done += rows
        rows *= growth
        if done >= density.rows:
            break
        if order == "desc":
            end_ns = min(rest.until_ns, held.until_ns)
            edge = _aligned(density.time_at(density.rows - done), end_ns, down=True)
            if edge <= rest.from_ns:
                break
            slices.append(TimeRange(edge, rest.until_ns))
            rest = TimeRange(rest.from_ns, edge)
        else:
            end_ns = max(rest.from_ns, held.from_ns)
            edge = _aligned(density.time_at(done), end_ns, down=False)
            if edge >= rest.until_ns:
                break
            slices.append(TimeRange(rest.from_ns, edge))
            rest = TimeRange(edge, rest.until_ns)
    return (*slices, rest)


def _aligned(at_ns: int, other_end_ns: int, down: bool) -> int:
    # A slice of an hour or more reads whole hours anyway: the sort key begins with the hour.
    lasts = abs(other_end_ns - at_ns)
    unit = next((unit for unit in (HOUR_NS, MINUTE_NS, SECOND_NS) if lasts >= unit), 1)
    return at_ns // unit * unit if down else -(-at_ns // unit) * unit


class _Density:
    """Rows by time, were those of each part spread evenly over its time."""

    def __init__(self, facts: TableFacts, whole: TimeRange) -> None:
        change: dict[int, float] = {}
        for part in facts.parts:
            lasts = part.max_ns + 1 - part.min_ns
            begin, end = max(part.min_ns, whole.from_ns), min(part.max_ns + 1, whole.until_ns)
            if begin < end:
                change[begin] = change.get(begin, 0.0) + part.rows / lasts
                change[end] = change.get(end, 0.0) - part.rows / lasts
        self._times = sorted(change)
        self._rows: list[float] = []
        total = rate = 0.0
        for index, time in enumerate(self._times):
            if index:
                total += rate * (time - self._times[index - 1])
            self._rows.append(total)
            rate += change[time]
        self.rows = total

    def time_at(self, rows: float) -> int:
        """The time before which so many rows lie."""
        index = min(max(bisect_left(self._rows, rows), 1), len(self._times) - 1)
        low, high = self._rows[index - 1], self._rows[index]
        begin, end = self._times[index - 1], self._times[index]
        share = 1.0 if high <= low else min(1.0, (rows - low) / (high - low))
        return begin + round((end - begin) * share)

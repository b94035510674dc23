"""What the planner knows of the log table when it decides."""

from dataclasses import dataclass

from query.search import TimeRange


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the table: the first and last timestamp in it, and its rows."""

    min_ns: int
    max_ns: int
    rows: int


@dataclass(frozen=True, slots=True)
class TableFacts:
    """The parts of the log table, and how many logs of all match the query where the index tells at once."""

    parts: tuple[Part, ...] = ()
    matching: int | None = None
    dictionary: bool = True  # the index's dictionary can be read: it cannot through a Distributed table

    @property
    def rows(self) -> int:
        """All logs."""
        return sum(part.rows for part in self.parts)

    @property
    def span(self) -> TimeRange:
        """From the oldest log to just after the newest; empty without logs."""
        if not self.parts:
            return TimeRange(0, 0)
        return TimeRange(min(part.min_ns for part in self.parts), max(part.max_ns for part in self.parts) + 1)

    def rows_in(self, range_: TimeRange) -> int:
        """About how many logs a range holds, were those of each part spread evenly."""
        return round(sum(_share(part, range_) * part.rows for part in self.parts))


def _share(part: Part, range_: TimeRange) -> float:
    lasts = part.max_ns + 1 - part.min_ns
    common = min(part.max_ns + 1, range_.until_ns) - max(part.min_ns, range_.from_ns)
    return max(0, common) / lasts

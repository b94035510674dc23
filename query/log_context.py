"""One log by its id, and its neighbours: the logs around it from the same service and source."""

from query.answers import Row, position
from query.ast import FieldEquals, conjunction
from query.search import Position, Search, TimeRange


def log_search(at: Position) -> Search:
    """The search that finds one log."""
    instant = TimeRange(at.timestamp_ns, at.timestamp_ns + 1)
    return Search(FieldEquals("_id", str(at)), instant, limit=1, count="none")


def neighbour_searches(row: Row, before: int, after: int) -> tuple[Search, Search]:
    """The searches for what came before a log, newest first, and after it, oldest first."""
    same = conjunction([FieldEquals("service", row["service"]), FieldEquals("_source_ip", row["source_ip"])])
    at = position(row)
    return (
        Search(same, limit=before, after=at, order="desc", count="none"),
        Search(same, limit=after, after=at, order="asc", count="none"),
    )

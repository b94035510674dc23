"""The rule for the total: the cheapest source that is exact, or a scan with a budget of time."""

from typing import Final

from query.plan.facts import TableFacts
from query.plan.nodes import Groups, Total, TotalKnown, TotalOfPage, Traits
from query.plan.pieces import count_pieces
from query.plan.slices import count_slices
from query.search import Search

# So few rows are always counted to the end: they take some 100 ms on the slowest scan.
SCAN_ROWS_ALWAYS: Final = 1_000_000


def total_of(
    search: Search, traits: Traits, facts: TableFacts, budget_s: float
) -> Total | TotalOfPage | TotalKnown | None:
    """How the total is found, None when the client wants none."""
    if search.count == "none":
        return None
    if facts.matching is not None and (facts.matching == 0 or search.range.covers(facts.span)):
        return TotalKnown(facts.matching)
    pieces = count_pieces(search.range, traits, facts, ())
    scan = all(piece.source == "table" for piece in pieces)
    bounded = scan and search.count == "auto" and facts.rows_in(search.range) > SCAN_ROWS_ALWAYS
    total = (
        Total(Groups(pieces), budget_s, count_slices(search.range, facts, traits.by_index))
        if bounded
        else Total(Groups(pieces))
    )
    return TotalOfPage(total) if is_first_page_of_all(search, facts) else total


def is_first_page_of_all(search: Search, facts: TableFacts) -> bool:
    """Whether the page will probably hold every match."""
    first = search.after is None and search.offset == 0
    return first and facts.matching is not None and facts.matching < search.limit

"""A search, facts of the table → the plan: every rule applied once."""

from collections.abc import Iterable
from typing import Final

from core.errors import InvalidSearch
from query.aggregation_request import AggregationRequest, Bucketed, HistogramRequest
from query.plan.aggregations import aggregation
from query.plan.facts import TableFacts
from query.plan.histogram import is_open
from query.plan.nodes import Buckets, Page, Plan, Traits
from query.plan.slices import FETCH_ALL, page_slices
from query.plan.total import total_of
from query.plan.traits import traits_of
from query.search import Search

UNKNOWN: Final = TableFacts(dictionary=False)


def plan_search(search: Search, traits: Traits, facts: TableFacts, count_budget_s: float) -> Plan:
    """The plan of a search. Raises InvalidSearch when an aggregation does not fit its field or the range."""
    aggregations: list[Buckets] = []
    problems: dict[str, str] = {}
    for name, request in search.aggregations:
        try:
            aggregations.append(aggregation(name, request, search.range, traits, facts))
        except ValueError as error:
            problems[f"aggregations.{name}"] = str(error)
    if problems:
        raise InvalidSearch(problems)
    return Plan(page_of(search, facts), total_of(search, traits, facts, count_budget_s), tuple(aggregations))


def page_of(search: Search, facts: TableFacts) -> Page | None:
    """The page alone; None when it is empty anyway."""
    slices = page_slices(search, facts)
    if facts.matching == 0 or not slices:
        return None
    few = facts.matching is not None and facts.matching <= FETCH_ALL
    return Page(slices, search.order, search.limit, search.offset, search.after, few)


def rollup_aggregations(search: Search) -> tuple[Buckets, ...] | None:
    """The aggregations when the rollups answer them whatever the table holds; None when facts decide."""
    if is_open(search.range) and _has_histogram(each for _, each in search.aggregations):
        return None  # it ends where the logs do
    traits = traits_of(search.query, by_index=False)
    try:
        found = [aggregation(name, each, search.range, traits, UNKNOWN) for name, each in search.aggregations]
    except ValueError:
        return None  # the whole plan says which, and why
    alone = all(_by_rollups(buckets) for outer in found for buckets in (outer, *outer.inner))
    return tuple(found) if alone else None


def _by_rollups(buckets: Buckets) -> bool:
    return buckets.by_table.source in ("rollup", "hourly rollup")


def _has_histogram(aggregations: Iterable[AggregationRequest]) -> bool:
    return any(
        isinstance(each, HistogramRequest)
        or (isinstance(each, Bucketed) and _has_histogram(each.aggregations.values()))
        for each in aggregations
    )

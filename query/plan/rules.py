"""A search, facts of the table → the plan: every rule applied once."""

from core.errors import InvalidSearch
from query.plan.aggregations import aggregation
from query.plan.facts import TableFacts
from query.plan.nodes import Buckets, Page, Plan, Traits
from query.plan.slices import FETCH_ALL, page_slices
from query.plan.total import total_of
from query.search import Search


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

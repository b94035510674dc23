"""Carries out the plan of a search: statement by statement, into the body of the answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from core.errors import InvalidSearch, SearchTimeout
from query.aggregation_answer import Rows, aggregation_answer
from query.answers import Row, answer_log, position, stored_rows
from query.ast import MatchAll
from query.highlights import highlights
from query.known import Filter
from query.learning import learn
from query.plan.nodes import (
    Buckets,
    DictionaryValues,
    Groups,
    Page,
    Piece,
    Plan,
    Total,
    TotalKnown,
    TotalOfPage,
    ValueKey,
)
from query.plan.rules import plan_search
from query.plan.traits import traits_of
from query.render import GROUPS_MAX, groups_statement, page_statement
from query.render_index import dictionary_statement
from query.search import Search, TimeRange
from query.session import Session

TOO_MANY_GROUPS = f"gives more than {GROUPS_MAX} groups: narrow the search or take a longer interval"


@dataclass(slots=True)
class Found:
    """The parts of an answer, as they become known."""

    logs: list[Row] = field(default_factory=list)
    total: int | None = None
    relation: str | None = None
    aggregations: dict[str, Any] = field(default_factory=dict)


class Execution:
    """One search on its way."""

    def __init__(
        self, session: Session, search: Search, count_budget_s: float, dictionary: bool = True
    ) -> None:
        self._session, self._search = session, search
        self._count_budget_s, self._dictionary = count_budget_s, dictionary
        self._filter = Filter(search.query)
        self._began_s = session.clock.monotonic_s()
        self._found = Found()

    async def rows(self) -> list[Row]:
        """The stored rows of the page alone. Raises SearchTimeout."""
        await self._page(await self._plan())
        return self._found.logs

    async def run(self) -> bytes:
        """The body of the answer, in JSON.

        Raises SearchTimeout with what was known by then, InvalidSearch for an aggregation that is too large.
        """
        try:
            plan = await self._plan()
            await self._page(plan)
            await self._total(plan)
            for buckets in plan.aggregations:
                self._found.aggregations[buckets.name] = await self._aggregation(buckets)
        except SearchTimeout as timeout:
            raise SearchTimeout(timeout.reason, orjson.loads(self._body())) from None
        # Off the event loop: thousands of logs take their time, and other searches go on meanwhile.
        return await asyncio.to_thread(self._body)

    async def _plan(self) -> Plan:
        learned = await learn(self._session, self._search.query, self._dictionary)
        self._filter = learned.filter
        traits = traits_of(self._search.query, learned.facts.matching is not None)
        return plan_search(self._search, traits, learned.facts, self._count_budget_s)

    async def _page(self, plan: Plan) -> None:
        if plan.page is None:
            return
        page, logs, skip = plan.page, self._found.logs, plan.page.offset
        for slice_ in page.slices:
            wanted = page.limit - len(logs)
            statement = page_statement(self._filter, page, slice_, wanted, skip)
            rows = await self._session.run("page", "table", statement)
            logs += stored_rows(rows)
            if len(logs) >= page.limit:
                return
            if rows:
                skip = 0
            elif skip:
                skip -= await self._count(page, slice_)
                skip = max(skip, 0)

    async def _count(self, page: Page, slice_: TimeRange) -> int:
        """How many logs of a slice match: so many of those to be skipped are behind us."""
        groups = Groups((Piece("table", slice_),))
        rows = await self._session.run("page offset", "table", groups_statement(self._filter, groups))
        return int(rows[0][0]) if rows else 0

    async def _total(self, plan: Plan) -> None:
        total = plan.total
        if total is None:
            return
        if isinstance(total, TotalOfPage):
            if len(self._found.logs) < self._search.limit:
                self._set_total(len(self._found.logs))
                return
            total = total.otherwise
        if isinstance(total, TotalKnown):
            self._set_total(total.total)
        else:
            await self._counted_total(total)

    async def _counted_total(self, total: Total) -> None:
        statement = groups_statement(self._filter, total.groups, budget_s=total.budget_s)
        try:
            rows = await self._session.run("total", total.groups.source, statement)
        except SearchTimeout:
            if total.budget_s is None:
                raise
            self._session.check_time()
            self._set_total(self._search.offset + len(self._found.logs), "gte")
            return
        self._set_total(int(rows[0][0]) if rows else 0)

    def _set_total(self, total: int, relation: str = "eq") -> None:
        self._found.total, self._found.relation = total, relation

    async def _aggregation(self, buckets: Buckets) -> Any:
        part = f"aggregations.{buckets.name}"
        rows = await self._group_rows(part, buckets.groups)
        only = [str(row[0]) for row in rows] if self._outer_is_value(buckets) else None
        inner = {}
        for each in buckets.inner:
            assert isinstance(each.groups, Groups), "the dictionary knows single fields only"
            inner[each.name] = await self._rows_of(f"{part}.{each.name}", each.groups, only)
        return aggregation_answer(buckets, rows, inner)

    @staticmethod
    def _outer_is_value(buckets: Buckets) -> bool:
        groups = buckets.groups.otherwise if isinstance(buckets.groups, DictionaryValues) else buckets.groups
        return bool(groups.keys) and isinstance(groups.keys[0], ValueKey)

    async def _group_rows(self, part: str, groups: Groups | DictionaryValues) -> Rows:
        if isinstance(groups, Groups):
            return await self._rows_of(part, groups, None)
        statement = dictionary_statement(groups, self._session.store.database)
        rows = await self._session.run(part, "dictionary", statement)
        if any(row[-1] for row in rows) or not await self._holds(groups.guard):
            return await self._rows_of(part, groups.otherwise, None)
        return [row[:-1] for row in rows]

    async def _holds(self, guard: TimeRange | None) -> bool:
        if guard is None:
            return True
        return guard.covers((await learn(self._session, MatchAll(), dictionary=False)).facts.span)

    async def _rows_of(self, part: str, groups: Groups, only: Sequence[str] | None) -> Rows:
        rows = await self._session.run(part, groups.source, groups_statement(self._filter, groups, only))
        if len(rows) > GROUPS_MAX:
            raise InvalidSearch({part: TOO_MANY_GROUPS})
        return rows

    def _body(self) -> bytes:
        found, search = self._found, self._search
        logs = [answer_log(row, search.fields) for row in found.logs]
        if search.highlight:
            for log, marked in zip(logs, highlights(search.query, found.logs), strict=True):
                log["_highlights"] = marked
        full = search.limit > 0 and len(logs) >= search.limit
        answer: dict[str, Any] = {
            "logs": logs,
            "total": found.total,
            "total_relation": found.relation,
            "took_ms": round((self._session.clock.monotonic_s() - self._began_s) * 1000, 1),
            "next_cursor": str(position(found.logs[-1])) if full else None,
        }
        if search.aggregations:
            answer["aggregations"] = found.aggregations
        if search.explain:
            answer["explain"] = self._explained()
        return orjson.dumps(answer)

    def _explained(self) -> dict[str, Any]:
        """The query as it was understood, which source answered what, and what that cost."""
        ran = self._session.ran
        return {
            "query": str(self._search.query),
            "range": str(self._search.range),
            "rows_read": sum(each.cost.read_rows for each in ran),
            "bytes_read": sum(each.cost.read_bytes for each in ran),
            "statements": [each.explained() for each in ran],
        }

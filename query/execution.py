"""Carries out the plan of a search: statement by statement, into the body of the answer."""

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from core.errors import SearchTimeout
from query.aggregation_answer import Rows, aggregation_answer
from query.answers import Row, answer_log, position, stored_rows
from query.ast import MatchAll
from query.group_rows import group_rows, rows_of
from query.highlights import highlights
from query.known import Filter, Known
from query.learning import Learned, learn
from query.plan.facts import TableFacts
from query.plan.histogram import is_open
from query.plan.nodes import (
    Buckets,
    Groups,
    Page,
    Piece,
    Plan,
    Total,
    TotalKnown,
    TotalOfPage,
    ValueKey,
)
from query.plan.rules import page_of, plan_search, rollup_aggregations
from query.plan.total import is_first_page_of_all
from query.plan.traits import traits_of
from query.render import groups_statement, page_statement
from query.render_where import index_condition
from query.search import Search, TimeRange
from query.session import Session
from query.statement import Binds
from query.together import all_done


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
        self.session = session
        self._search = search
        self._count_budget_s, self._dictionary = count_budget_s, dictionary
        self._began_s = session.clock.monotonic_s()
        self._learned = Learned(Filter(search.query, Known(columns=session.columns)), TableFacts())
        self._found = Found()
        self._page_ended, self._page_complete = asyncio.Event(), False

    async def rows(self) -> list[Row]:
        """The stored rows of the page alone. Raises SearchTimeout."""
        await self._page((await self._plan()).page)
        return self._found.logs

    async def run(self) -> bytes:
        """The body of the answer, in JSON.

        Raises SearchTimeout with what was known by then, InvalidSearch for an aggregation that is too large.
        """
        try:
            await all_done(*self._begun())
        except SearchTimeout as timeout:
            raise SearchTimeout(timeout.reason, orjson.loads(self._body())) from None
        if not self._found.logs:
            return self._body()
        # Off the event loop: thousands of logs take their time, and other searches go on meanwhile.
        return await asyncio.to_thread(self._body)

    def _begun(self) -> Iterator[Coroutine[Any, Any, None]]:
        """All parts of the answer: first what need not wait for facts of the table, then the rest."""
        search = self._search
        guess, counted = self._guess(), rollup_aggregations(search)
        if guess is not None:
            yield self._page(page_of(search, guess))
        if counted is not None:
            yield self._aggregations(counted)
        if counted is None or search.count != "none" or (guess is None and search.limit > 0):
            yield self._planned(guess, counted is None)

    def _guess(self) -> TableFacts | None:
        """What was seen lately, for a query that somebody has asked: its page need not wait for new facts."""
        remembered, query = self.session.remembered, self._search.query
        if remembered is None or self._search.limit == 0 or not (parts := remembered.recall_parts()):
            return None
        if isinstance(query, MatchAll):
            return TableFacts(parts, sum(part.rows for part in parts))
        if index_condition(self._learned.filter, Binds()) is None:
            return None  # the condition depends on what the dictionary says now
        matches = remembered.recall_matches(str(query))
        return TableFacts(parts, matches) if matches else None

    async def _planned(self, guess: TableFacts | None, aggregations: bool) -> None:
        """What depends on facts of the table; the page too where it could not be guessed."""
        search = self._search
        if guess is not None and not search.aggregations and is_first_page_of_all(search, guess):
            await self._page_ended.wait()
            if self._page_has_all():
                return
        plan = await self._plan()
        page = [self._page(plan.page)] if guess is None else []
        counted = plan.aggregations if aggregations else ()
        await all_done(*page, self._total(plan), self._aggregations(counted))

    async def _aggregations(self, all_: Iterable[Buckets]) -> None:
        await all_done(*map(self._aggregation, all_))

    async def _plan(self) -> Plan:
        search = self._search
        fresh = is_open(search.range) and bool(search.aggregations)  # histograms end where the logs do
        learned = await learn(self.session, search.query, search.range, self._dictionary, fresh)
        self._learned = learned
        if self.session.remembered is not None and learned.facts.matching is not None:
            self.session.remembered.keep_matches(str(search.query), learned.facts.matching)
        traits = traits_of(search.query, learned.facts.matching is not None)
        return plan_search(search, traits, learned.facts, self._count_budget_s)

    async def _page(self, page: Page | None) -> None:
        try:
            if page is not None:
                await self._slices(page)
            self._page_complete = True
        finally:
            self._page_ended.set()

    async def _slices(self, page: Page) -> None:
        logs, skip = self._found.logs, page.offset
        for slice_ in page.slices:
            wanted = page.limit - len(logs)
            statement = page_statement(self._learned.filter, page, slice_, wanted, skip)
            rows = await self.session.run("page", "table", statement)
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
        rows = await self.session.run("page offset", "table", groups_statement(self._learned.filter, groups))
        return int(rows[0][0]) if rows else 0

    async def _total(self, plan: Plan) -> None:
        total = plan.total
        if total is None:
            return
        if isinstance(total, TotalOfPage):
            await self._page_ended.wait()
            if self._page_has_all():
                return
            total = total.otherwise
        if isinstance(total, TotalKnown):
            self._set_total(total.total)
        else:
            await self._counted_total(total)

    def _page_has_all(self) -> bool:
        """Whether a first page came out with room to spare: then its logs are the total."""
        if not self._page_complete or len(self._found.logs) >= self._search.limit:
            return False
        self._set_total(len(self._found.logs))
        return True

    async def _counted_total(self, total: Total) -> None:
        if total.budget_s is None:
            rows = await self.session.run(
                "total", total.groups.source, groups_statement(self._learned.filter, total.groups)
            )
            self._set_total(int(rows[0][0]) if rows else 0)
            return
        # What went before (a look into the dictionary) is taken off, but half of the budget stays.
        now_s, counted = self.session.clock.monotonic_s(), 0
        ends_s = max(self._began_s + total.budget_s, now_s + total.budget_s / 2)
        for slice_ in total.slices:
            left_s = ends_s - self.session.clock.monotonic_s()
            count = await self._count_within(slice_, left_s) if left_s > 0 else None
            if count is None:
                self._set_total(counted, "gte")
                return
            counted += count
        self._set_total(counted)

    async def _count_within(self, slice_: TimeRange, budget_s: float) -> int | None:
        """The matches of a slice; None when the time was not enough."""
        groups = Groups((Piece("table", slice_),))
        try:
            rows = await self.session.run(
                "total", "table", groups_statement(self._learned.filter, groups, budget_s=budget_s)
            )
        except SearchTimeout:
            self.session.check_time()
            return None
        return int(rows[0][0]) if rows else 0

    def _set_total(self, total: int, relation: str = "eq") -> None:
        self._found.total, self._found.relation = total, relation

    async def _aggregation(self, buckets: Buckets) -> None:
        part = f"aggregations.{buckets.name}"
        rows: Rows = ()
        inner: dict[str, Rows] = {}

        async def outer() -> None:
            nonlocal rows
            rows = await group_rows(self.session, self._learned, buckets.groups, part)

        async def inside(each: Buckets, only: Sequence[str] | None) -> None:
            assert isinstance(each.groups, Groups), "the dictionary knows single fields only"
            name = f"{part}.{each.name}"
            inner[each.name] = await rows_of(self.session, self._learned, each.groups, name, only)

        keys = buckets.by_table.keys
        if keys and isinstance(keys[0], ValueKey):  # only the top values are looked into
            await outer()
            only = [str(row[0]) for row in rows]
            await all_done(*(inside(each, only) for each in buckets.inner))
        else:
            await all_done(outer(), *(inside(each, None) for each in buckets.inner))
        self._found.aggregations[buckets.name] = aggregation_answer(buckets, rows, inner)

    def _body(self) -> bytes:
        found, search = self._found, self._search
        logs = [answer_log(row, search.fields) for row in found.logs]
        if search.highlight:
            for log, marked in zip(logs, highlights(search.query, found.logs), strict=True):
                log["_highlights"] = marked
        full = search.limit > 0 and len(logs) >= search.limit
        total = found.total
        if total is not None and found.relation == "gte":
            total = max(total, search.offset + len(logs))
        answer: dict[str, Any] = {
            "logs": logs,
            "total": total,
            "total_relation": found.relation,
            "took_ms": round((self.session.clock.monotonic_s() - self._began_s) * 1000, 1),
            "next_cursor": str(position(found.logs[-1])) if full else None,
        }
        if search.aggregations:
            names = [name for name, _ in search.aggregations if name in found.aggregations]
            answer["aggregations"] = {name: found.aggregations[name] for name in names}
        if search.explain:
            answer["explain"] = self._explained()
        return orjson.dumps(answer)

    def _explained(self) -> dict[str, Any]:
        """The query as it was understood, which source answered what, and what that cost."""
        ran = sorted(self.session.ran, key=lambda each: each.began_s)
        return {
            "query": str(self._search.query),
            "range": str(self._search.range),
            "rows_read": sum(each.cost.read_rows for each in ran),
            "bytes_read": sum(each.cost.read_bytes for each in ran),
            "statements": [each.explained() for each in ran],
        }

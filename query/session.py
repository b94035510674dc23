"""Runs the statements of one search: off the event loop, under one deadline, and killed when nobody waits."""

import asyncio
import uuid
from collections.abc import Mapping
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from core.clock import Clock
from core.errors import SearchTimeout, StorageError
from core.limits import LARGE_STATEMENTS
from query.remembered import Remembered
from query.statement import Statement

TIMEOUT_CODES: Final = frozenset({159, 394})  # TIMEOUT_EXCEEDED, QUERY_WAS_CANCELLED
KILL_ATTEMPTS: Final = 50  # a statement that is still on its way to the server cannot be killed yet
KILL_INTERVAL_S: Final = 0.1
STATEMENTS_MAX: Final = 2  # of one search at once: further ones wait, so that it takes no more than its share
REPLY_GRACE_S: Final = (
    1.0  # the server ends a statement at the deadline: its reply is waited for a little longer
)


class Cost(Protocol):
    """What a statement cost the server."""

    @property
    def read_rows(self) -> int: ...
    @property
    def read_bytes(self) -> int: ...
    @property
    def elapsed_s(self) -> float: ...


class Result(Protocol):
    """The rows of an answer and its cost."""

    @property
    def rows(self) -> list[tuple[Any, ...]]: ...
    @property
    def cost(self) -> Cost: ...


class Store(Protocol):
    """What a search needs of ClickHouse; storage.clickhouse.ClickHouse is one. All of it blocks."""

    database: str

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        query_id: str | None = None,
    ) -> Result:
        """The whole answer of a SELECT."""
        ...

    def stream(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        query_id: str | None = None,
    ) -> AbstractContextManager[Any]:
        """The answer of a SELECT as Arrow record batches."""
        ...

    def kill(self, query_id: str) -> None:
        """End a query."""
        ...


@dataclass(frozen=True, slots=True)
class Ran:
    """One statement that ran: for which part of the answer, where the answer came from, and what it cost."""

    began_s: float
    part: str
    source: str
    statement: Statement
    rows: int
    cost: Cost
    ms: float

    def explained(self) -> dict[str, Any]:
        """As `explain` shows it."""
        return {
            "part": self.part,
            "source": self.source,
            "sql": self.statement.sql,
            "parameters": dict(self.statement.parameters),
            "rows_read": self.cost.read_rows,
            "bytes_read": self.cost.read_bytes,
            "rows_returned": self.rows,
            "ms": round(self.ms, 1),
        }


@dataclass(slots=True)
class Session:
    """The statements of one search, STATEMENTS_MAX at once. `deadline_s` is of the clock's monotonic time."""

    store: Store
    executor: Executor
    clock: Clock
    deadline_s: float
    remembered: Remembered | None = None
    columns: frozenset[str] = frozenset()  # the fields with one of their own
    ran: list[Ran] = field(default_factory=list)
    overdue: list[Statement] = field(default_factory=list)  # ended by their timeout
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STATEMENTS_MAX))

    @property
    def remaining_s(self) -> float:
        """The time left. Raises SearchTimeout when there is none."""
        left = self.deadline_s - self.clock.monotonic_s()
        if left <= 0:
            raise SearchTimeout("the search took longer than its timeout")
        return left

    def check_time(self) -> None:
        """Raise SearchTimeout when there is none left."""
        assert self.remaining_s

    async def run(self, part: str, source: str, statement: Statement) -> list[tuple[Any, ...]]:
        """The rows of a statement. Raises SearchTimeout at the deadline, StorageError otherwise."""
        async with self._turns:
            began_s, remaining_s = self.clock.monotonic_s(), self.remaining_s
            try:
                result = await self._result(statement, remaining_s)
            except SearchTimeout:
                self.overdue.append(statement)
                raise
        ms = (self.clock.monotonic_s() - began_s) * 1000
        self.ran.append(Ran(began_s, part, source, statement, len(result.rows), result.cost, ms))
        return result.rows

    async def _result(self, statement: Statement, remaining_s: float) -> Result:
        query_id = f"logray-search-{uuid.uuid4()}"
        settings = {**LARGE_STATEMENTS, **statement.settings}
        settings["max_execution_time"] = min(remaining_s, settings.get("max_execution_time", remaining_s))
        future = self.executor.submit(
            self.store.query, statement.sql, statement.parameters, settings, query_id
        )
        try:
            result: Result = await finished(future, self.store, query_id, remaining_s + REPLY_GRACE_S)
        except StorageError as error:
            if error.code in TIMEOUT_CODES:
                raise SearchTimeout("the search took longer than its timeout") from None
            raise
        return result


async def finished(future: "Future[Any]", store: Store, query_id: str, timeout_s: float) -> Any:
    """The result of a statement on another thread; it is killed when this is cancelled or takes too long."""
    answer = asyncio.wrap_future(future)
    answer.add_done_callback(
        lambda each: each.cancelled() or each.exception()
    )  # nobody may be left to read it
    try:
        done, _ = await asyncio.wait([answer], timeout=timeout_s)
    except asyncio.CancelledError:
        _end(future, store, query_id)
        raise
    if not done:
        _end(future, store, query_id)
        raise SearchTimeout("the search took longer than its timeout")
    return answer.result()


def _end(future: "Future[Any]", store: Store, query_id: str) -> None:
    if future.cancel():
        return  # it had not begun
    task = asyncio.get_running_loop().create_task(_kill(future, store, query_id))
    _kills.add(task)
    task.add_done_callback(_kills.discard)


async def _kill(future: "Future[Any]", store: Store, query_id: str) -> None:
    for _ in range(KILL_ATTEMPTS):
        if future.done():
            return
        with suppress(StorageError):  # the next attempt, or max_execution_time, ends it
            await asyncio.to_thread(store.kill, query_id)
        await asyncio.sleep(KILL_INTERVAL_S)


_kills: set["asyncio.Task[None]"] = set()  # the event loop itself keeps no task alive

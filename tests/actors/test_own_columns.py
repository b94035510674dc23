"""A field that searches keep asking for gets a column by itself, and searches go on with it."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from actors.own_columns import OwnColumns
from core.clock import SystemClock
from query.column_choice import ASKED_MIN, ColumnChoice
from query.execution import Execution
from query.request import SearchRequest, parse_request
from query.search import search_of
from query.session import Session
from storage.clickhouse import ClickHouse
from storage.own_columns import add_own_columns
from storage.own_columns import own_columns as columns_of_table
from tests.query.stored_logs import log, store

CLOCK = SystemClock()


async def ask(clickhouse: ClickHouse, columns: OwnColumns, field: str) -> Any:
    """One search for statistics of a field, noted."""
    body = {"limit": 0, "aggregations": {"a": {"type": "stats", "field": field}}, "explain": True}
    with ThreadPoolExecutor(2) as threads:
        session = Session(clickhouse, threads, CLOCK, CLOCK.monotonic_s() + 30, columns=columns.fields)
        search = search_of(parse_request(SearchRequest, body), CLOCK.now_ns(), 30, 30)
        answer = json.loads(await Execution(session, search, 1).run())
    columns.note(session)
    await columns.settled()
    return answer


async def test_a_field_that_is_asked_for_often_gets_a_column_and_the_same_answers(
    clickhouse: ClickHouse,
) -> None:
    store(clickhouse, [log(n, "m", duration_ms=n % 7) for n in range(50)])
    columns = OwnColumns(clickhouse, [], 1, ColumnChoice(CLOCK, rows_min=1))
    await columns.read()
    answers = [await ask(clickhouse, columns, "duration_ms") for _ in range(ASKED_MIN + 1)]
    assert columns.fields == columns_of_table(clickhouse) == {"duration_ms"}
    assert all(answer["aggregations"] == answers[0]["aggregations"] for answer in answers)
    assert "`field.duration_ms`" in json.dumps(answers[-1]["explain"])


async def test_no_more_fields_than_the_settings_allow_get_a_column(clickhouse: ClickHouse) -> None:
    store(clickhouse, [log(n, "m", a=n % 7, b=n % 5) for n in range(50)])
    columns = OwnColumns(clickhouse, [], 1, ColumnChoice(CLOCK, rows_min=1))
    for field in ["a", "b"] * ASKED_MIN:
        await ask(clickhouse, columns, field)
    assert columns.fields == {"a"}


async def test_the_bound_holds_over_restarts_and_leaves_out_the_settings_columns(
    clickhouse: ClickHouse,
) -> None:
    store(clickhouse, [log(n, "m", a=n % 7, b=n % 5, c=n % 3) for n in range(50)])
    add_own_columns(clickhouse, ["a"])
    for _ in range(2):
        columns = OwnColumns(clickhouse, ["a"], 1, ColumnChoice(CLOCK, rows_min=1))
        await columns.read()
        for field in ["b", "c"] * ASKED_MIN:
            await ask(clickhouse, columns, field)
    assert columns.fields == columns_of_table(clickhouse) == {"a", "b"}


async def test_a_field_of_too_many_values_gets_none(clickhouse: ClickHouse) -> None:
    store(clickhouse, [log(n, "m", number=n) for n in range(11)])
    columns = OwnColumns(clickhouse, [], 3, ColumnChoice(CLOCK, rows_min=1), values_max=10)
    for _ in range(ASKED_MIN):
        await ask(clickhouse, columns, "number")
    assert columns.fields == columns_of_table(clickhouse) == frozenset()

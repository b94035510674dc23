"""Statistics of a field with its own column read each different value once, where there are not too many."""

from typing import Any

import pytest

from query import render
from storage.clickhouse import ClickHouse
from storage.own_columns import add_own_columns
from tests.query.searcher import Searcher
from tests.query.stored_logs import store

LOGS = 60
AGGREGATIONS = {
    "all": {"type": "stats", "field": "duration"},
    "percentiles": {"type": "percentiles", "field": "duration", "percents": [0, 50, 90, 100]},
    "by_service": {"field": "service", "aggregations": {"inner": {"type": "stats", "field": "duration"}}},
}


@pytest.fixture
def own_columns(clickhouse: ClickHouse) -> frozenset[str]:
    add_own_columns(clickhouse, ["duration"])
    durations: list[Any] = [n % 7 for n in range(LOGS - 4)] + ["2.5", "no number", None, [1]]
    store(
        clickhouse,
        [
            {"timestamp": "2024-01-01", "service": f"s{n % 2}", "message": "m", "duration": duration}
            for n, duration in enumerate(durations)
        ],
    )
    return frozenset(["duration"])


async def aggregated(clickhouse: ClickHouse, columns: frozenset[str]) -> tuple[Any, list[str]]:
    """The aggregations, and the SQL that the numbers came from."""
    body = {"limit": 0, "aggregations": AGGREGATIONS, "explain": True}
    answer = await Searcher(clickhouse, columns=columns)(**body)
    statements = [each["sql"] for each in answer["explain"]["statements"] if "isFinite" in each["sql"]]
    return answer["aggregations"], statements


async def test_values_that_repeat_are_read_once(clickhouse: ClickHouse, own_columns: frozenset[str]) -> None:
    found, statements = await aggregated(clickhouse, own_columns)
    assert found["all"] == {"count": 57, "min": 0, "max": 6, "sum": 170.5, "avg": 170.5 / 57}
    assert found["percentiles"] == {"0": 0, "50": 3, "90": 6, "100": 6}
    assert found["by_service"]["s1"]["inner"]["count"] == 28
    assert [sql.count("AS weight") for sql in statements] == [1, 1, 1]
    from_map, _ = await aggregated(clickhouse, frozenset())
    assert found == from_map


async def test_too_many_different_values_are_read_one_by_one(
    clickhouse: ClickHouse, own_columns: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_value, _ = await aggregated(clickhouse, own_columns)
    monkeypatch.setattr(render, "VALUES_MAX", 5)
    found, statements = await aggregated(clickhouse, own_columns)
    assert found == by_value
    assert [sql.count("AS weight") for sql in statements] == [0, 0, 0]

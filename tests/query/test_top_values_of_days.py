"""Top values of a range that holds whole days: the dictionary has the days, the table what is left of it."""

from collections import Counter
from typing import Any

import pytest

from storage.clickhouse import ClickHouse
from tests.query.searcher import Searcher
from tests.query.stored_logs import store

HOURS = 24 * 4


def hourly_logs(**odd: Any) -> list[dict[str, Any]]:
    """A log an hour of four days, and one that is odd."""
    logs = [
        {"timestamp": moment(hour), "message": "m", "status": [200, 200, "200", 404, 503][hour % 5]}
        for hour in range(HOURS)
    ]
    return [*logs, {"timestamp": moment(30), "message": "m", **odd}]


def moment(hour: int) -> str:
    return f"2024-01-{10 + hour // 24}T{hour % 24:02d}:00:00Z"


def counted(logs: list[dict[str, Any]], from_: str, to: str) -> dict[str, int]:
    """Values by count; a number and the same as text are shown alike."""
    found = Counter(str(log["status"]) for log in logs if "status" in log and from_ <= log["timestamp"] <= to)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


async def top(clickhouse: ClickHouse, from_: str, to: str) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Values by count, and the sources of the aggregation with the SQL that asked them."""
    body = {"limit": 0, "count": "none", "from": from_, "to": to, "explain": True}
    answer = await Searcher(clickhouse)(**body, aggregations={"a": {"field": "status"}})
    buckets: dict[str, int] = answer["aggregations"]["a"]
    statements = answer["explain"]["statements"]
    return buckets, [(each["source"], each["sql"]) for each in statements if each["part"] == "aggregations.a"]


@pytest.mark.parametrize(
    ("from_", "to", "edges"),
    [
        ("2024-01-11T00:00:00Z", "2024-01-12T23:59:59.999999999Z", 0),
        ("2024-01-10T07:30:00Z", "2024-01-12T23:59:59.999999999Z", 1),
        ("2024-01-10T07:30:00Z", "2024-01-13T10:00:00Z", 2),
        ("2024-01-10T07:30:00Z", "2024-01-13T23:30:00Z", 1),  # after the last log: its day is whole
        ("2023-12-24T05:00:00Z", "2024-01-12T04:00:00Z", 1),  # before the first log
    ],
)
async def test_whole_days_come_from_the_dictionary_and_the_rest_from_the_table(
    clickhouse: ClickHouse, from_: str, to: str, edges: int
) -> None:
    logs = hourly_logs()
    store(clickhouse, logs)
    found, ((source, sql),) = await top(clickhouse, from_, to)
    assert found == counted(logs, from_, to)
    assert source == "dictionary"
    assert sql.count("FROM logs WHERE") == edges


async def test_less_than_a_day_comes_from_the_table(clickhouse: ClickHouse) -> None:
    logs = hourly_logs()
    store(clickhouse, logs)
    found, sources = await top(clickhouse, "2024-01-10T07:30:00Z", "2024-01-11T22:00:00Z")
    assert found == counted(logs, "2024-01-10T07:30:00Z", "2024-01-11T22:00:00Z")
    assert [source for source, _ in sources] == ["table"]


async def test_values_that_the_dictionary_cuts_are_counted_by_the_table(clickhouse: ClickHouse) -> None:
    logs = hourly_logs(status="5" * 200)
    store(clickhouse, logs)
    found, sources = await top(clickhouse, "2024-01-11T00:00:00Z", "2024-01-13T10:00:00Z")
    assert found == counted(logs, "2024-01-11T00:00:00Z", "2024-01-13T10:00:00Z")
    assert [source for source, _ in sources] == ["dictionary", "table"]


async def test_days_after_the_last_of_a_date_are_counted_by_the_table(clickhouse: ClickHouse) -> None:
    logs = [*hourly_logs(), {"timestamp": "2180-01-01T00:00:00Z", "message": "m", "status": 200}]
    store(clickhouse, logs)
    found, sources = await top(clickhouse, "2024-01-11T00:00:00Z", "2024-01-13T10:00:00Z")
    assert found == counted(logs, "2024-01-11T00:00:00Z", "2024-01-13T10:00:00Z")
    assert [source for source, _ in sources] == ["table"]

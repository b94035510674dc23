"""The planner as the HTTP replicas use it: answers, bounds, timeouts and cancelled calls, on a real store."""

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from actors.query_planner import QueryPlanner
from core.clock import SystemClock
from core.errors import InvalidSearch, Overloaded, QuerySyntaxError, SearchTimeout
from core.metrics import Metrics
from core.settings import SearchSettings
from storage.clickhouse import ClickHouse
from tests.query.slow_searches import SLOW, store_many, until_running
from tests.query.stored_logs import log, store

DEMO_LOGS = [
    {
        "timestamp": "2024-01-15T10:00:00Z",
        "level": "info",
        "message": "Request processed",
        "service": "api",
        "request_id": "abc123",
    },
    {
        "timestamp": "2024-01-15T10:00:01Z",
        "level": "error",
        "message": "Database timeout",
        "service": "api",
        "duration_ms": 5000,
    },
]
CLOCK = SystemClock()


def planner_of(clickhouse: ClickHouse, **settings: Any) -> QueryPlanner:
    return QueryPlanner(clickhouse, SearchSettings(**settings), Metrics(CLOCK), CLOCK)


@pytest.fixture
def planner(clickhouse: ClickHouse) -> Iterator[QueryPlanner]:
    planner = planner_of(clickhouse)
    yield planner
    planner.close()


async def search(planner: QueryPlanner, **body: Any) -> Any:
    return json.loads(await planner.search({("from" if key == "from_" else key): body[key] for key in body}))


async def test_the_first_search_of_the_readme_finds_the_log_as_it_was_sent(
    clickhouse: ClickHouse, planner: QueryPlanner
) -> None:
    store(clickhouse, DEMO_LOGS)
    answer = await search(
        planner, query="timeout", from_="2024-01-15T00:00:00Z", to="2024-01-15T23:59:59Z", limit=100
    )
    assert (answer["total"], answer["total_relation"], answer["next_cursor"]) == (1, "eq", None)
    (found,) = answer["logs"]
    assert DEMO_LOGS[1].items() <= found.items()
    assert {"_id", "_ingested_at", "_source_ip", "_method"} <= found.keys()


async def test_the_second_search_of_the_readme_joins_two_fields(
    clickhouse: ClickHouse, planner: QueryPlanner
) -> None:
    store(clickhouse, DEMO_LOGS)
    answer = await search(planner, query="level:error AND service:api")
    assert [found["message"] for found in answer["logs"]] == ["Database timeout"]


async def test_the_third_search_of_the_readme_counts_by_level_and_by_hour(
    clickhouse: ClickHouse, planner: QueryPlanner
) -> None:
    store(clickhouse, DEMO_LOGS)
    by_hour = {"type": "histogram", "field": "timestamp", "interval": "1h"}
    answer = await search(
        planner, query="*", aggregations={"by_level": {"field": "level"}, "by_hour": by_hour}
    )
    assert answer["aggregations"] == {
        "by_level": {"error": 1, "info": 1},
        "by_hour": {"2024-01-15T10:00:00Z": 2},
    }


async def test_an_empty_store_answers_with_nothing(planner: QueryPlanner) -> None:
    answer = await search(planner, aggregations={"by_level": {"field": "level"}})
    assert (answer["logs"], answer["total"], answer["aggregations"]) == ([], 0, {"by_level": {}})


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ({"query": "("}, QuerySyntaxError, "position 1"),
        ({"querry": "x"}, InvalidSearch, "querry: unknown key"),
        ({"limit": 10_001}, InvalidSearch, "limit: must be less than or equal to 10000"),
        ({"from": "yesterday"}, InvalidSearch, "from: is not a time"),
        ({"from": "now", "to": "now-1h"}, InvalidSearch, "from: is after to"),
        ({"query": "timestamp:>now-99999999w"}, InvalidSearch, "query: now-99999999w is not between"),
        (
            {"aggregations": {"a": {"type": "sum", "field": "x"}}},
            InvalidSearch,
            "aggregations.a: type must be",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_wrong_search_says_what_is_wrong(
    planner: QueryPlanner, body: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as raised:
        await planner.search(body)
    assert says in str(raised.value)


async def test_a_search_past_its_timeout_ends_with_what_was_known(
    clickhouse: ClickHouse, planner: QueryPlanner
) -> None:
    store_many(clickhouse)
    with pytest.raises(SearchTimeout) as raised:
        await search(planner, query=SLOW, timeout="200ms")
    assert raised.value.known is not None
    assert raised.value.known["logs"] == []


async def test_a_cancelled_search_ends_in_the_store(clickhouse: ClickHouse, planner: QueryPlanner) -> None:
    store_many(clickhouse)
    task = asyncio.create_task(search(planner, query=SLOW, timeout=60))
    await until_running(clickhouse)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until_running(clickhouse, running=False)
    assert planner.observe().running == 0


async def test_searches_past_the_bound_wait_and_past_the_queue_are_refused(clickhouse: ClickHouse) -> None:
    store_many(clickhouse)
    planner = planner_of(clickhouse, concurrency_max=1, queue_max=1)
    first = asyncio.create_task(search(planner, query=SLOW, timeout=60))
    await until_running(clickhouse)
    second = asyncio.create_task(search(planner, query="timeout", count="none", limit=1))
    async with asyncio.timeout(5):
        while planner.observe().waiting == 0:
            await CLOCK.sleep(0.01)
    with pytest.raises(Overloaded):
        await search(planner, query="timeout")
    first.cancel()
    assert len((await second)["logs"]) == 1
    planner.close()


async def test_a_search_that_waits_too_long_is_refused(clickhouse: ClickHouse) -> None:
    store_many(clickhouse)
    planner = planner_of(clickhouse, concurrency_max=1, queue_wait_s=0.1)
    first = asyncio.create_task(search(planner, query=SLOW, timeout=60))
    await until_running(clickhouse)
    with pytest.raises(Overloaded, match="no turn came within"):
        await search(planner, query="timeout")
    first.cancel()
    await until_running(clickhouse, running=False)
    planner.close()


async def test_a_store_that_takes_all_day_does_not_hold_up_other_searches(
    clickhouse: ClickHouse, planner: QueryPlanner
) -> None:
    store(clickhouse, [log(1, "quick")])
    before = threading.active_count()
    answers = await asyncio.gather(*(search(planner, query="quick") for _ in range(20)))
    assert [answer["total"] for answer in answers] == [1] * 20
    assert threading.active_count() - before <= 2 * SearchSettings().concurrency_max + 8


@pytest.mark.parametrize("query", ["timeout", "*", "NOT request", "service:api timeout"])
async def test_what_a_search_remembers_of_the_table_hides_no_log_from_the_next(
    clickhouse: ClickHouse, planner: QueryPlanner, query: str
) -> None:
    store(clickhouse, DEMO_LOGS)
    day = {"from_": "2024-01-15", "to": "2024-01-15"}
    before = await search(planner, query=query, **day)
    later = [log(second, "Database timeout") for second in (1, 3600)]
    earlier = [{**later[0], "timestamp": "2023-12-31T00:00:00Z"}]
    store(clickhouse, [*later, *earlier], first_seq=10)
    within, whole = await search(planner, query=query, **day), await search(planner, query=query)
    assert within["total"] == len(within["logs"]) == before["total"] + 2
    assert whole["total"] == len(whole["logs"]) == before["total"] + 3


async def test_a_page_that_was_guessed_from_the_search_before_is_the_same_page(
    clickhouse: ClickHouse, planner: QueryPlanner
) -> None:
    store(clickhouse, [log(n, "rare" if n % 50 == 0 else "frequent", n=n) for n in range(5000)])
    for query, expected in (("rare", 100), ("n:4999", 1), ("nosuchword", 0)):
        answers = [await search(planner, query=query, limit=40, order="asc") for _ in range(2)]
        assert [answer["total"] for answer in answers] == [expected] * 2
        first, second = ([found["n"] for found in answer["logs"]] for answer in answers)
        assert first == second == sorted(first)
    store(clickhouse, [log(-n, "rare", n=-n) for n in range(1, 200)], first_seq=5000)
    later = await search(planner, query="rare", limit=40, order="asc")
    assert [found["n"] for found in later["logs"]] == list(range(-199, -159))
    assert later["total"] == 299


async def test_a_search_asks_nothing_that_its_answer_does_not_need(
    clickhouse: ClickHouse, planner: QueryPlanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("query.remembered.FORGET_PARTS_AFTER_S", 60.0)
    store(clickhouse, [log(n, "rare" if n % 50 == 0 else "frequent") for n in range(500)])

    async def asked(**body: Any) -> tuple[int | None, list[str]]:
        answer = await search(planner, explain=True, **body)
        return answer["total"], sorted({each["part"] for each in answer["explain"]["statements"]})

    by_level = {"limit": 0, "count": "none", "aggregations": {"a": {"field": "level"}}}
    assert await asked(**by_level) == (None, ["aggregations.a"])
    assert await asked(query="rare") == (10, ["facts", "matching", "page"])
    assert await asked(query="rare") == (10, ["page"])  # which is not full
    assert await asked(query="rare", limit=5) == (10, ["matching", "page"])
    assert await asked(query="rare", offset=5) == (10, ["matching", "page"])
    assert await asked(query="rare", count="none") == (None, ["page"])
    assert await asked(limit=500, count="none") == (None, ["page"])
    store(clickhouse, [log(n, "rare") for n in range(500, 700)], first_seq=500)
    assert await asked(query="rare") == (210, ["matching", "page"])

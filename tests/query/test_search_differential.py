"""Whole searches made at random: logs, order, pages, totals and aggregations are those of plain Python."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from query.iso import iso
from query.parser import parse
from query.plan import pieces
from query.plan.pieces import HOURS_ROWS_MIN
from query.request import SearchRequest, parse_request
from query.search import search_of
from storage.clickhouse import ClickHouse
from storage.own_columns import add_own_columns
from tests.query.aggregation_evaluator import aggregate
from tests.query.evaluator import StoredLog, matches
from tests.query.generated import Generator
from tests.query.searcher import Searcher
from tests.query.stored_logs import stored_logs

SEARCHES = 200


@pytest.fixture
def search(clickhouse: ClickHouse) -> Searcher:
    return Searcher(clickhouse)


def log_id(log: StoredLog) -> str:
    return f"{log.timestamp_ns:016x}-{log.seq:016x}"


def in_order(logs: Sequence[StoredLog], order: str) -> list[StoredLog]:
    return sorted(logs, key=lambda log: (log.timestamp_ns, log.seq), reverse=order == "desc")


class SearchMaker:
    """Bodies of searches, and what the logs at hand answer to them."""

    def __init__(self, generator: Generator, logs: Sequence[StoredLog]) -> None:
        self._generator, self._logs, self._source = generator, logs, generator.source

    def body(self) -> dict[str, Any]:
        chance = self._source.random
        body: dict[str, Any] = {"query": str(self._generator.query(depth=2))} if chance() < 0.8 else {}
        times = sorted(self._source.choice(self._logs).timestamp_ns for _ in range(2))
        if chance() < 0.4:
            body["from"] = iso(times[0]) if chance() < 0.5 else times[0]
        if chance() < 0.4:
            body["to"] = times[1]
        body["order"] = self._source.choice(["asc", "desc"])
        body["limit"] = self._source.choice([0, 1, 5, 50, 1000])
        if chance() < 0.3:
            body["offset"] = self._source.choice([1, 7, 100])
        if chance() < 0.3:
            body["count"] = self._source.choice(["exact", "none"])
        body["aggregations"] = {
            f"a{number}": self.aggregation(True) for number in range(self._source.randrange(3))
        }
        return body

    def aggregation(self, outermost: bool) -> dict[str, Any]:
        choose = self._source.choice
        value = choose(["level", "service", "status", "user.id", "tags", "ip", "_source_ip", "nothing"])
        number = choose(["duration_ms", "status"])
        request: dict[str, Any] = choose(
            [
                {"field": value, "size": choose([1, 3, 1000])},
                {"field": value},
                {"type": "missing", "field": value},
                {"type": "cardinality", "field": choose(["status", "tags", "ip"])},
                {"type": "stats", "field": number},
                {"type": "percentiles", "field": number, "percents": [0, 12.5, 50, 100]},
                {"type": "histogram", "field": "duration_ms", "interval": choose([10**16, 10**18])},
                {
                    "type": "histogram",
                    "interval": choose(["15m", "1h", "7h", "1d", "1w", "month"]),
                    "time_zone": choose(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
                },
            ]
        )
        kind = request.get("type", "terms")
        if outermost and kind in ("terms", "histogram") and self._source.random() < 0.4:
            inner = self.aggregation(False)
            if inner.get("type") != "histogram":
                request["aggregations"] = {"inner": inner}
        return request

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        query = parse(body.get("query", "*"))
        bounds = search_of(parse_request(SearchRequest, body), 0, 30, 30).range
        found = [
            log
            for log in self._logs
            if bounds.from_ns <= log.timestamp_ns < bounds.until_ns and matches(query, log)
        ]
        page = in_order(found, body["order"])[body.get("offset", 0) :][: body["limit"]]
        from_ns = bounds.from_ns if "from" in body else None
        until_ns = bounds.until_ns if "to" in body else None
        return {
            "ids": [log_id(log) for log in page],
            "total": None if body.get("count") == "none" else len(found),
            "aggregations": {
                name: aggregate(each, found, from_ns, until_ns) for name, each in body["aggregations"].items()
            },
        }


@pytest.mark.parametrize("hours_rows_min", [0, HOURS_ROWS_MIN], ids=["whole hours apart", "in one"])
async def test_searches_answer_what_plain_python_answers(
    clickhouse: ClickHouse, search: Searcher, monkeypatch: pytest.MonkeyPatch, hours_rows_min: int
) -> None:
    # Some hundred logs must be split as ten million are.
    monkeypatch.setattr(pieces, "HOURS_ROWS_MIN", hours_rows_min)
    await compare(clickhouse, search, Generator(11))


async def test_fields_with_columns_of_their_own_answer_the_same(clickhouse: ClickHouse) -> None:
    columns = ["status", "duration_ms", "user.id", "tags", "ip"]
    add_own_columns(clickhouse, columns)
    await compare(clickhouse, Searcher(clickhouse, columns=frozenset(columns)), Generator(12))


async def compare(clickhouse: ClickHouse, search: Searcher, generator: Generator) -> None:
    """Some random logs, and some random searches among them."""
    maker = SearchMaker(generator, stored_logs(clickhouse, [generator.log() for _ in range(150)]))
    for _ in range(SEARCHES):
        body = maker.body()
        expected, answer = maker.answer(body), await search(**body)
        assert [log["_id"] for log in answer["logs"]] == expected["ids"], body
        assert answer["total"] == expected["total"], body
        for name, wanted in expected["aggregations"].items():
            assert close(answer["aggregations"][name], wanted), (body["query"], body["aggregations"][name])


def close(found: Any, wanted: Any) -> bool:
    """Equal, buckets in the same order; floating point numbers nearly."""
    if isinstance(wanted, dict):
        assert list(found) == list(wanted), (found, wanted)
        return all(close(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=1e-9), (found, wanted)
    else:
        assert found == wanted
    return True


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_pages_among_thousands_of_equal_timestamps_neither_skip_nor_repeat_by_cursor_or_offset(
    clickhouse: ClickHouse, search: Searcher, order: str
) -> None:
    logs = [{"timestamp": f"2024-01-{1 + n % 3:02d}T00:00:00Z", "message": f"same {n}"} for n in range(9000)]
    stored = stored_logs(clickhouse, logs)
    found: list[str] = []
    cursor = None
    while True:
        by_offset = await search(query="same", order=order, limit=700, offset=len(found))
        page = await search(query="same", order=order, limit=700, **({"cursor": cursor} if cursor else {}))
        ids = [log["_id"] for log in page["logs"]]
        assert ids == [log["_id"] for log in by_offset["logs"]]
        assert page["total"] == by_offset["total"] == 9000
        found += ids
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [log_id(log) for log in in_order(stored, order)]


async def test_logs_that_arrive_meanwhile_move_no_page(clickhouse: ClickHouse, search: Searcher) -> None:
    source = random.Random(3)

    def some(count: int) -> list[dict[str, Any]]:
        return [
            {"timestamp": f"2024-01-01T00:00:{source.randrange(3):02d}Z", "message": "same"}
            for _ in range(count)
        ]

    before = stored_logs(clickhouse, some(300), inserts=1)
    found: list[str] = []
    cursor: dict[str, Any] = {}
    seq = 300
    while True:
        page = await search(limit=50, **cursor)
        found += [log["_id"] for log in page["logs"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        stored_logs(clickhouse, some(20), inserts=1, first_seq=seq)
        seq += 20
    assert len(found) == len(set(found))
    assert found == sorted(found, reverse=True)
    assert {log_id(log) for log in before} <= set(found)


async def test_many_searches_at_once_do_not_mix(clickhouse: ClickHouse, search: Searcher) -> None:
    stored_logs(clickhouse, [{"timestamp": "2024-01-01", "message": f"word{n}"} for n in range(40)])
    answers = await asyncio.gather(*(search(query=f"word{n}") for n in range(40)))
    assert [[log["message"] for log in answer["logs"]] for answer in answers] == [
        [f"word{n}"] for n in range(40)
    ]

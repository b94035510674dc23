"""The search routes over a real socket, with a planner on a real store behind them."""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import uvicorn

from actors.query_planner import QueryPlanner
from core.clock import SystemClock
from core.metrics import Metrics
from core.settings import SearchSettings
from deployments.access import Access
from deployments.application import build_application
from deployments.search_api import log_routes, search_routes
from storage.clickhouse import ClickHouse
from tests.query.slow_searches import SLOW, store_many, until_running
from tests.query.stored_logs import log, store

CLOCK = SystemClock()
PLAIN = {"Accept-Encoding": "identity"}


@asynccontextmanager
async def served(planner: QueryPlanner) -> AsyncIterator[aiohttp.ClientSession]:
    routes = [*search_routes(planner), *log_routes(planner)]
    application = build_application(routes, Access((), "127.0.0.1"), Metrics(CLOCK))
    server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="error"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await CLOCK.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{port}", headers=PLAIN, auto_decompress=False
    ) as client:
        yield client
    server.should_exit = True
    await serving


@pytest.fixture
async def client(clickhouse: ClickHouse) -> AsyncIterator[aiohttp.ClientSession]:
    planner = QueryPlanner(clickhouse, SearchSettings(), Metrics(CLOCK), CLOCK)
    async with served(planner) as client:
        yield client
    planner.close()


async def post(client: aiohttp.ClientSession, path: str, body: Any, **headers: str) -> tuple[int, bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with client.post(f"/api/v1/{path}", data=data, headers=headers) as answer:
        return answer.status, await answer.read()


async def get(client: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    async with client.get(f"/api/v1/{path}") as answer:
        return answer.status, await answer.json()


async def test_a_search_needs_no_content_type(clickhouse: ClickHouse, client: aiohttp.ClientSession) -> None:
    store(clickhouse, [log(1, "Database timeout")])
    for content_type in ("application/x-www-form-urlencoded", "text/plain", "application/json"):
        status, body = await post(client, "search", {"query": "timeout"}, **{"Content-Type": content_type})
        assert (status, json.loads(body)["total"]) == (200, 1)


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("search", b"{", {"error": "cannot parse the body as JSON", "position": 1}),
        (
            "search",
            b"[]",
            {"error": "body: must be a JSON object", "fields": {"body": "must be a JSON object"}},
        ),
        ("search", {"query": "a AND"}, {"error": "at position 5: found the end of the query", "position": 5}),
        ("search", {"size": 5}, {"error": "size: unknown key", "fields": {"size": "unknown key"}}),
        ("search/export", {"query": "("}, {"error": "at position 1", "position": 1}),
        ("search/export", {"format": "xml"}, {"error": "format: "}),
        ("search/explain", {"query": ")"}, {"error": "at position 0", "position": 0}),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_wrong_request_is_400_with_the_reason_and_no_stack_trace(
    client: aiohttp.ClientSession, path: str, body: Any, error: dict[str, Any]
) -> None:
    status, answer = await post(client, path, body)
    found = json.loads(answer)
    assert status == 400
    assert found.pop("error").startswith(error.pop("error"))
    assert error.items() <= found.items()
    assert b"Traceback" not in answer


async def test_explain_says_which_source_answered_what(
    clickhouse: ClickHouse, client: aiohttp.ClientSession
) -> None:
    store(clickhouse, [log(1, "Database timeout")])
    status, body = await post(client, "search/explain", {"query": "timeout level:error"})
    found = json.loads(body)
    assert status == 200
    assert found["query"] == "timeout AND level:error"
    assert {statement["part"] for statement in found["statements"]} == {"facts", "matching"}
    assert all({"source", "sql", "rows_read", "bytes_read"} <= each.keys() for each in found["statements"])


async def test_an_export_holds_every_match_whatever_their_number(
    clickhouse: ClickHouse, client: aiohttp.ClientSession
) -> None:
    store(clickhouse, [log(n // 7, f"line {n}", n=n) for n in range(25_000)])
    status, body = await post(client, "search/export", {"query": "line"})
    numbers = [json.loads(line)["n"] for line in body.splitlines()]
    assert status == 200
    assert sorted(numbers) == list(range(25_000))
    assert numbers == sorted(numbers, reverse=True)


async def test_an_export_can_be_packed_cut_projected_and_turned_round(
    clickhouse: ClickHouse, client: aiohttp.ClientSession
) -> None:
    store(clickhouse, [log(n, f"line {n}", user={"id": n}) for n in range(10)])
    body = {"limit": 3, "order": "asc", "fields": ["message", "user.id"], "gzip": True}
    status, packed = await post(client, "search/export", body)
    lines = [json.loads(line) for line in gzip.decompress(packed).splitlines()]
    assert status == 200
    assert [(line["message"], line["user.id"]) for line in lines] == [(f"line {n}", n) for n in range(3)]


async def test_csv_has_the_same_columns_in_every_row(
    clickhouse: ClickHouse, client: aiohttp.ClientSession
) -> None:
    store(clickhouse, [log(1, 'He said "hi",\nthen left', status=5, tags=["a"]), log(2, "plain")])
    _, body = await post(client, "search/export", {"format": "csv", "order": "asc"})
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert [row["message"] for row in rows] == ['He said "hi",\nthen left', "plain"]
    assert [json.loads(row["fields"]) for row in rows] == [{"status": 5, "tags": ["a"]}, {}]
    _, body = await post(client, "search/export", {"format": "csv", "fields": ["status", "tags", "message"]})
    assert body.decode().splitlines()[0] == "status,tags,message"


async def test_fields_are_listed_with_types_and_counts(
    clickhouse: ClickHouse, client: aiohttp.ClientSession
) -> None:
    store(clickhouse, [log(1, "a", status=5, user={"id": "x"}), log(2, "b", status="five", ok=True)])
    status, found = await get(client, "fields")
    by_name = {field["name"]: field for field in found["fields"]}
    assert (status, found["complete"]) == (200, True)
    assert by_name["status"] == {"name": "status", "count": 2, "types": {"number": 1, "string": 1}}
    assert by_name["user.id"]["types"] == {"string": 1}
    assert by_name["ok"]["types"] == {"boolean": 1}
    assert by_name["timestamp"] == {"name": "timestamp", "count": 2, "types": {"time": 2}}
    _, found = await get(client, "fields?query=ok:true&from=2024-01-15")
    assert "user.id" not in {field["name"] for field in found["fields"]}


async def test_the_values_of_a_field_come_with_their_counts(
    clickhouse: ClickHouse, client: aiohttp.ClientSession
) -> None:
    store(clickhouse, [log(n, "a", status=[200, 200, 503][n % 3], **{"a/b": n % 2}) for n in range(9)])
    _, found = await get(client, "fields/status/values")
    assert found["values"] == [{"value": "200", "count": 6}, {"value": "503", "count": 3}]
    _, found = await get(client, "fields/status/values?query=status:503&size=1")
    assert found["values"] == [{"value": "503", "count": 3}]
    _, found = await get(client, "fields/a%2Fb/values")
    assert found["values"] == [{"value": "0", "count": 5}, {"value": "1", "count": 4}]
    assert (await get(client, "fields/status/values?size=0"))[0] == 400
    assert (await get(client, "fields/status/values?size=1&size=2"))[0] == 400


async def test_a_log_is_found_by_its_id_with_its_neighbours(
    clickhouse: ClickHouse, client: aiohttp.ClientSession
) -> None:
    store(clickhouse, [log(n // 4, f"line {n}", service=["api", "web"][n % 2]) for n in range(40)])
    _, body = await post(client, "search", {"query": '"line 20"'})
    (wanted,) = json.loads(body)["logs"]
    wanted.pop("_highlights")
    assert await get(client, f"logs/{wanted['_id']}") == (200, wanted)
    _, found = await get(client, f"logs/{wanted['_id']}/context?before=2&after=3")
    assert found["log"] == wanted
    assert [each["message"] for each in found["before"]] == ["line 16", "line 18"]
    assert [each["message"] for each in found["after"]] == ["line 22", "line 24", "line 26"]


@pytest.mark.parametrize("log_id", ["nonsense", "0" * 16 + "-" + "0" * 16, "f" * 16 + "-" + "f" * 16])
async def test_an_unknown_id_is_404(client: aiohttp.ClientSession, log_id: str) -> None:
    assert (await get(client, f"logs/{log_id}"))[0] == 404
    assert (await get(client, f"logs/{log_id}/context"))[0] == 404


async def test_a_client_that_goes_away_ends_its_search_in_the_store(
    clickhouse: ClickHouse, client: aiohttp.ClientSession
) -> None:
    store_many(clickhouse)
    search = asyncio.create_task(post(client, "search", {"query": SLOW, "timeout": 60}))
    await until_running(clickhouse)
    search.cancel()
    await until_running(clickhouse, running=False)


async def test_a_timeout_is_504_with_what_was_known(
    clickhouse: ClickHouse, client: aiohttp.ClientSession
) -> None:
    store_many(clickhouse)
    status, body = await post(client, "search", {"query": SLOW, "timeout": "100ms"})
    assert (status, json.loads(body)["known"]["logs"]) == (504, [])

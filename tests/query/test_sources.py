"""Each typical search takes its cheap source, as explain tells: seen on a table that is worth slicing."""

from typing import Any

from benchmarks.stored_corpus import BEGIN_NS, DAY_NS, END_NS, Round, fill
from storage.clickhouse import ClickHouse
from tests.query.searcher import Searcher

ROWS = 1_000_000
HOUR: dict[str, Any] = {"from": END_NS - DAY_NS // 24, "to": END_NS - 1}
DAY: dict[str, Any] = {"from": END_NS - DAY_NS, "to": END_NS - 1}
BY_HOUR = {"type": "histogram", "interval": "1h"}
BY_SERVICE: dict[str, Any] = {"aggregations": {"a": {"field": "service"}}, "count": "none"}
TOP_STATUS: dict[str, Any] = {"aggregations": {"a": {"field": "status_code"}}, "count": "none"}
CHEAP = ROWS * 6 // 10  # rows that a search may read: some hundred scattered logs lie in most granules here

SEARCHES: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("everything", {}, {"page": "table", "total": "parts"}),
    ("a word", {"query": "timeout"}, {"page": "table", "total": "index"}),
    ("two words", {"query": "database timeout"}, {"page": "table", "total": "index"}),
    ("level and service", {"query": "level:error service:checkout-api"}, {"page": "table", "total": "index"}),
    (
        "level, service and word",
        {"query": "level:error service:checkout-api timeout"},
        {"page": "table", "total": "index"},
    ),
    ("field=value", {"query": "status_code:503"}, {"page": "table", "total": "index"}),
    ("word and field=value", {"query": "timeout status_code:503"}, {"page": "table", "total": "index"}),
    ("word NOT field", {"query": "timeout NOT service:cart-api"}, {"page": "table", "total": "index"}),
    ("a rare word", {"query": "73219"}, {"page": "table", "total": "index"}),
    ("a request id", {"query": f"request_id:{700_000:016x}"}, {"page": "table", "total": "index"}),
    ("no such word", {"query": "nosuchword"}, {"total": "index"}),
    ("a number above", {"query": "duration_ms:>5000"}, {"page": "table", "total": "index"}),
    ("a wildcard in words", {"query": "message:*imeou*"}, {"page": "table", "total": "index"}),
    ("a wildcard in a field", {"query": "host:node-1*"}, {"page": "table", "total": "index"}),
    ("level by rank", {"query": "level:>=warn"}, {"page": "table", "total": "index"}),
    ("level in a day", {"query": "level:error", **DAY}, {"page": "table", "total": "hourly rollup"}),
    ("a word in an hour", {"query": "timeout", **HOUR}, {"page": "table", "total": "table"}),
    ("a word in a day", {"query": "timeout", **DAY}, {"page": "table", "total": "table"}),
    (
        "level and service in a day",
        {"query": "level:error service:checkout-api", **DAY},
        {"page": "table", "total": "hourly rollup"},
    ),
    ("by service", {"limit": 0, "aggregations": {"a": {"field": "service"}}}, {"a": "hourly rollup"}),
    ("by service in a day", {"limit": 0, **DAY, **BY_SERVICE}, {"a": "hourly rollup"}),
    ("by service in an hour", {"limit": 0, **HOUR, **BY_SERVICE}, {"a": "rollup"}),
    ("top values in a day", {"limit": 0, **DAY, **TOP_STATUS}, {"a": "dictionary"}),
    ("top values in an hour", {"limit": 0, **HOUR, **TOP_STATUS}, {"a": "table"}),
    ("by level", {"limit": 0, "aggregations": {"a": {"field": "level"}}}, {"a": "hourly rollup"}),
    ("by hour", {"limit": 0, "aggregations": {"a": BY_HOUR}}, {"a": "hourly rollup"}),
    (
        "by hour in an odd range",
        {"limit": 0, "count": "none", "from": BEGIN_NS + 5, "to": END_NS - 5, "aggregations": {"a": BY_HOUR}},
        {"a": "hourly rollup"},
    ),
    ("top values", {"limit": 0, "aggregations": {"a": {"field": "status_code"}}}, {"a": "dictionary"}),
    (
        "top values of a word",
        {"query": "timeout", "limit": 0, "aggregations": {"a": {"field": "status_code"}}},
        {"a": "index"},
    ),
    (
        "by service of a word",
        {"query": "timeout", "limit": 0, "aggregations": {"a": {"field": "service"}}},
        {"a": "index"},
    ),
    (
        "distinct values",
        {"limit": 0, "aggregations": {"a": {"type": "cardinality", "field": "host"}}},
        {"a": "dictionary"},
    ),
]


async def test_typical_searches_take_their_cheap_source(clickhouse: ClickHouse) -> None:
    fill(clickhouse, Round(0, ROWS))
    search = Searcher(clickhouse, count_budget_s=0.3)
    for name, body, sources in SEARCHES:
        answer = await search(**body, explain=True)
        statements = answer["explain"]["statements"]
        assert found_sources(statements) == sources, name
        read = sum(each["rows_read"] for each in statements if each["source"] == "table")
        assert read < CHEAP, f"{name} reads {read} rows"
        assert answer["total_relation"] == ("eq" if body.get("count") != "none" else None), name


def found_sources(statements: list[dict[str, Any]]) -> dict[str, str]:
    """Part of the answer → its source; a total without a statement of its own came with the facts."""
    parts = {each["part"]: each["source"] for each in statements}
    if not any(part.startswith("aggregations") for part in parts):
        parts.setdefault("total", parts.get("matching") or parts["facts"])
    return {
        part.removeprefix("aggregations."): source
        for part, source in parts.items()
        if part == "page" or part == "total" or part.startswith("aggregations")
    }

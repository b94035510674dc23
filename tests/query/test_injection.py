"""SQL in every position of a search is text, and finds or breaks nothing."""

import json
from typing import Any

import pytest

from core.errors import RequestError
from query.quoting import quote
from storage.clickhouse import ClickHouse
from tests.query.searcher import Searcher
from tests.query.stored_logs import log, store

ATTACKS = [
    "'; DROP TABLE logs; --",
    "') OR 1=1 --",
    "' UNION ALL SELECT 1,2,3,4,5,6,7,8,9,10 --",
    "\\' OR ''='",
    "{p0:String}",
    "{p0:Identifier}",
    "`logs`",
    "$$ SELECT 1 $$",
    "/* comment */",
    "x\x00y",
    "%s %(x)s",
    "?",
    "FORMAT JSON",
    "'] FROM system.tables --",
    "\n; SELECT 1",
]


def positions(attack: str) -> list[dict[str, Any]]:
    """Searches with the text wherever a client can put one."""
    quoted = quote(attack)
    queries = [
        attack,
        quoted,
        f"field:{quoted}",
        f"{quoted}:x",
        f"{quoted}:*",
        f"service:{quoted}",
        f"_source_ip:{quoted}",
        f"a:>{quoted}",
        f"a:[{quoted} TO {quoted}]",
        f"service:>{quoted}",
        f"level:{quoted}",
        f"timestamp:{quoted}",
        f"message:/{attack.replace('/', '')}/",
        f"a:x{attack.replace(' ', '')}*",
    ]
    aggregations: list[dict[str, Any]] = [
        {"field": attack},
        {"field": attack, "aggregations": {attack: {"field": "level"}}},
        {"type": "stats", "field": attack},
        {"type": "percentiles", "field": attack},
        {"type": "cardinality", "field": attack},
        {"type": "missing", "field": attack},
        {"type": "histogram", "field": attack, "interval": 5},
        {"type": "histogram", "interval": attack},
        {"type": "histogram", "interval": "1h", "time_zone": attack},
        {"type": attack, "field": "level"},
    ]
    return [
        *({"query": query} for query in queries),
        *({"aggregations": {attack: aggregation}} for aggregation in aggregations),
        {"from": attack},
        {"to": attack},
        {"cursor": attack},
        {"order": attack},
        {"count": attack},
        {"timeout": attack},
        {"fields": [attack]},
        {attack: 1},
    ]


@pytest.mark.parametrize("attack", ATTACKS)
async def test_sql_is_text_wherever_it_stands(clickhouse: ClickHouse, attack: str) -> None:
    store(clickhouse, [log(1, "one", secret="s"), log(2, "two")])
    search = Searcher(clickhouse)
    for body in positions(attack):
        total = await total_or_refusal(search, body)
        if isinstance(total, str):
            assert "Exception" not in total, body
        elif "query" in body and ":>" not in body["query"]:
            assert total == 0, body
        else:
            assert total in (0, 2), body
    everything = await search()
    assert everything["total"] == 2


async def total_or_refusal(search: Searcher, body: dict[str, Any]) -> int | str:
    try:
        return int((await search(**body))["total"])
    except RequestError as refused:
        return str(refused)


async def test_a_field_name_may_be_sql_and_is_found_as_such(clickhouse: ClickHouse) -> None:
    store(
        clickhouse,
        [log(n, "named", **{attack: attack}) for n, attack in enumerate(ATTACKS) if "\0" not in attack],
    )
    search = Searcher(clickhouse)
    for attack in ATTACKS:
        if "\0" in attack:
            continue
        answer = await search(query=f"{quote(attack)}:{quote(attack)}", aggregations={"a": {"field": attack}})
        assert [found[attack] for found in answer["logs"]] == [attack]
        assert answer["aggregations"]["a"] == {attack: 1}, json.dumps(answer)

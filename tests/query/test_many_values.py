"""Terms that stand for more values than can be named are counted in the dictionary, where that is clear."""

from typing import Any

import pytest

from query.render_index import EXPANSION_MAX
from storage.clickhouse import ClickHouse
from tests.query.searcher import Searcher
from tests.query.stored_logs import log, store

MANY = EXPANSION_MAX + 500


def values(plain: int) -> list[dict[str, Any]]:
    return [log(n % 3000, "m", n=n, host=f"host-{n}") for n in range(plain)]


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("n:*", MANY),
        ("n:>=100", MANY - 100),
        ("n:[1 TO 2400]", 2400),
        ("host:host-*", MANY),
        ("host:/-[0-9]+$/", MANY),
    ],
)
async def test_a_term_of_many_values_has_an_exact_total(
    clickhouse: ClickHouse, query: str, total: int
) -> None:
    store(clickhouse, [*values(MANY), log(1, "without")])
    answer = await Searcher(clickhouse)(query=query, limit=5, explain=True)
    assert (answer["total"], answer["total_relation"], len(answer["logs"])) == (total, "eq", 5)
    sources = {each["part"]: each["source"] for each in answer["explain"]["statements"]}
    assert sources["matching"] == "dictionary"
    assert "total" not in sources


@pytest.mark.parametrize("odd", [{"n": [1, 2, 5000]}, {"n": "5" * 200}], ids=["an array", "a long value"])
async def test_where_the_dictionary_is_not_clear_the_table_counts(
    clickhouse: ClickHouse, odd: dict[str, Any]
) -> None:
    store(clickhouse, [*values(MANY), log(1, "odd", **odd)])
    answer = await Searcher(clickhouse)(query="n:>=100", limit=0, explain=True)
    assert answer["total"] == MANY - 100 + 1
    assert "total" in {each["part"] for each in answer["explain"]["statements"]}

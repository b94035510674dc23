"""A query may have as many terms as are allowed, whatever they are: the store takes what they become."""

import json
from typing import Any

import pytest

from core.limits import QUERY_CHARACTERS_MAX, QUERY_TERMS_MAX
from storage.clickhouse import ClickHouse
from tests.query.searcher import Searcher
from tests.query.stored_logs import log, store

BIG = 10**20
# A term, and a value that the last of them finds.
TERMS: dict[str, tuple[str, Any]] = {
    "values": ("f{n}:v{n}", "v255"),
    "numbers": ("f{n}:>{n}", 256),
    "ranges of large numbers": (f"f{{n}}:[{BIG} TO {BIG}{{n}}]", BIG + 1),
    "times": ("f{n}:[2024-01-01 TO 2024-01-02]", "2024-01-01T12:00:00Z"),
    "addresses": ("f{n}:10.0.{n}.0/24", "10.0.255.7"),
    "texts": ("f{n}:[a{n} TO b{n}]", "b"),
    "fields": ("f{n}:*", False),
}


@pytest.mark.parametrize(("term", "value"), TERMS.values(), ids=TERMS)
async def test_as_many_terms_as_may_be_are_answered(clickhouse: ClickHouse, term: str, value: Any) -> None:
    last = QUERY_TERMS_MAX - 1
    logs = [log(0, "found", **{f"f{last}": value}), log(1, "not found", other=value)]
    store(clickhouse, [json.dumps(each).encode() for each in logs])
    query = " OR ".join(term.format(n=number) for number in range(QUERY_TERMS_MAX))
    assert len(query) <= QUERY_CHARACTERS_MAX
    found = await Searcher(clickhouse)(query=query)
    assert [each["message"] for each in found["logs"]] == ["found"]

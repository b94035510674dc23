"""The separator of tokens is a character like any other in what senders write."""

import pytest

from core.packed_fields import SEPARATOR
from query.quoting import quote
from storage.clickhouse import ClickHouse
from tests.query.searcher import Searcher
from tests.query.stored_logs import log, store

FORGED = f'{SEPARATOR}"level":error{SEPARATOR}"user":"root"'
LOGS = [
    log(0, f"a{FORGED} b", service="one"),
    log(1, "c", service=f"two{FORGED}"),
    log(2, "d", service="three", user=f"me{FORGED}", **{f"name{FORGED}": 1}),
    log(3, "e", service="four", tags=[f"x{FORGED}", "y"], long=FORGED * 20),
]


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("level:error", []),
        ("user:root", []),
        ("level:info", [3, 2, 1, 0]),
        (f"service:{quote(f'two{FORGED}')}", [1]),
        (f"service:{quote('two')}", []),
        (f"user:{quote(f'me{FORGED}')}", [2]),
        (f"{quote(f'name{FORGED}')}:1", [2]),
        (f"tags:{quote(f'x{FORGED}')}", [3]),
        ("tags:y", [3]),
        (f"long:{quote(FORGED * 20)}", [3]),
        ("root", [0]),
        (quote(f"a{SEPARATOR}level"), [0]),
    ],
)
async def test_no_sender_can_make_tokens_of_other_fields(
    clickhouse: ClickHouse, query: str, seconds: list[int]
) -> None:
    store(clickhouse, LOGS)
    found = await Searcher(clickhouse)(query=query, count="exact")
    assert [int(each["timestamp"][17:19]) for each in found["logs"]] == seconds
    assert found["total"] == len(seconds)

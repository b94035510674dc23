"""What the dictionary is asked before a plan is made, and when it is asked no more."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.clock import SystemClock
from query import render_index
from query.learning import learn
from query.parser import parse
from query.search import ALWAYS
from query.session import Session
from storage.clickhouse import ClickHouse
from storage.log_table import INSERT_SETTINGS

CLOCK = SystemClock()
# As many ids as take the store some tens of milliseconds to look through.
FILL = """
INSERT INTO logs (timestamp, seq, level, service, message, fields, shape, ingested_at, source_ip, method)
SELECT
    toDateTime64(number, 9, 'UTC') AS at, number, 'info', 's', 'm',
    concat('\\x1f"id":"', hex(sipHash64(number)), '"'), '',
    at, '', 'http'
FROM numbers(200000)
"""


async def test_a_dictionary_that_is_too_large_to_be_read_in_time_is_read_once(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    clickhouse.command(FILL, settings={**INSERT_SETTINGS, "insert_deduplication_token": "ids"})
    # The real second would take a dictionary of tens of millions of ids.
    monkeypatch.setattr(render_index, "EXPANSION_BUDGET_S", 0.001)
    with ThreadPoolExecutor(2) as threads:
        session = Session(clickhouse, threads, CLOCK, CLOCK.monotonic_s() + 30)
        learned = await learn(session, parse("id:*none*"), ALWAYS, dictionary=True)
    assert len(session.overdue) == 1
    assert learned.facts.matching is None
    assert learned.facts.rows == 200_000

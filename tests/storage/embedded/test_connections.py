"""Statements follow each other on kept connections, and nothing of one reaches the next."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from storage.embedded.connections import IDLE_MAX
from tests.storage.embedded.http import answer, ask, reading

SEEN = "SELECT currentDatabase(), getSetting('max_block_size'), getSetting('log_comment') FORMAT TSV"


@pytest.fixture
def url(clickhouse_url: SecretStr) -> SecretStr:
    return clickhouse_url


@pytest.mark.parametrize("whole", ["0", "1"], ids=["streamed", "whole"])
def test_each_statement_has_its_own_database_and_settings(url: SecretStr, whole: str) -> None:
    def seen(database: str, query_id: str, **settings: object) -> list[str]:
        text = answer(url, SEEN, database=database, query_id=query_id, wait_end_of_query=whole, **settings)
        return text.strip().split("\t")

    _, unset, _ = seen("default", "first")
    for turn in range(2 * IDLE_MAX):
        assert seen("system", f"a{turn}", max_block_size=1000 + turn) == [
            "system",
            str(1000 + turn),
            f"a{turn}",
        ]
        assert seen("system", f"b{turn}") == ["system", unset, f"b{turn}"]
        assert seen("default", f"c{turn}", **{f"max_{'rows' if turn % 2 else 'bytes'}_to_read": turn}) == [
            "default",
            unset,
            f"c{turn}",
        ]
        assert seen("default", f"d{turn}", readonly=2, max_block_size=7) == ["default", "7", f"d{turn}"]


def test_a_connection_whose_statement_failed_or_was_left_is_not_used_again(url: SecretStr) -> None:
    many = "SELECT number FROM numbers(1e10)"
    for _ in range(IDLE_MAX):
        assert ask(url, "SELECT throwIf(number = 3) FROM numbers(9)").status >= 400
        with reading(url, many) as stream:
            assert stream.read(4)
        assert answer(url, "SELECT 1") == "1\n"


def test_statements_at_the_same_time_do_not_share_one(url: SecretStr) -> None:
    def ask_for(number: int) -> str:
        sql = "SELECT getSetting('max_block_size') + sum(number) - 45 + sleep(0.01) FROM numbers(10)"
        return answer(url, sql, max_block_size=number)

    numbers = range(1000, 1100)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask_for, numbers)) == [f"{number}\n" for number in numbers]

"""docs/query-language.md: each of its examples finds what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from core import limits
from core.errors import QuerySyntaxError
from core.log_batch import Received
from query.parser import parse
from storage.clickhouse import ClickHouse
from tests.query.searcher import Searcher
from tests.query.stored_logs import RECEIVED, store

PAGE = (Path(__file__).parents[2] / "docs" / "query-language.md").read_text()
FINDS, FAILS = PAGE.split("## What is not a query")


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of its tables, headings left out."""
    for line in text.splitlines():
        if line.startswith("| `"):
            # `\|` in a cell is a `|` of the example.
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def code(cell: str) -> str:
    return cell.strip("`")


def logs() -> list[dict[str, Any]]:
    block = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    return [orjson.loads(line) for line in block[1].splitlines()]


async def test_each_query_of_the_page_finds_its_logs(clickhouse: ClickHouse) -> None:
    store(clickhouse, logs(), received=Received(RECEIVED.at_ns, "10.9.8.7", "http"))
    search = Searcher(clickhouse)
    examples = list(rows(FINDS))
    assert len(examples) > 80
    for query, numbers, _ in examples:
        answer = await search(query=code(query))
        found = sorted(log["n"] for log in answer["logs"])
        assert found == [int(number) for number in numbers.split()], query
        assert answer["total"] == len(found), query


@pytest.mark.parametrize(("query", "position", "found"), list(rows(FAILS)))
def test_each_mistake_of_the_page_is_told_with_its_position(query: str, position: str, found: str) -> None:
    with pytest.raises(QuerySyntaxError) as raised:
        parse(code(query))
    assert raised.value.position == int(position)
    assert f"found {code(found)}, expected " in str(raised.value)


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    last = PAGE.strip().rpartition("\n\n")[2].replace("\n", " ")
    assert [int(number) for number in re.findall(r"\d+", last)] == [
        limits.QUERY_CHARACTERS_MAX,
        limits.QUERY_TERMS_MAX,
        limits.QUERY_SIGNS_MAX,
        limits.QUERY_NESTING_MAX,
        limits.QUERY_WILDCARDS_MAX,
        limits.QUERY_REGEXES_MAX,
        limits.REGEX_CHARACTERS_MAX,
    ]

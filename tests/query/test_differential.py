"""Thousands of generated queries over generated logs: the store finds what a plain Python evaluator finds."""

from collections.abc import Iterator

import pytest

from query.ast import Node
from query.known import Filter
from query.plan.nodes import Piece
from query.render_where import conditions, index_condition
from query.search import ALWAYS
from query.statement import Binds
from storage.clickhouse import ClickHouse
from tests.query.evaluator import StoredLog, matches
from tests.query.generated import Generator
from tests.query.stored_logs import stored_logs

LOGS = 150
QUERIES = 2500
PER_STATEMENT = 50
BY_INDEX_STEP = 8  # every so manieth query also runs as a WHERE, which reads the index: a statement each


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(7)


def test_the_store_finds_what_the_evaluator_finds(clickhouse: ClickHouse, generator: Generator) -> None:
    logs = stored_logs(clickhouse, [generator.log() for _ in range(LOGS)])
    told_apart = 0
    for _ in range(0, QUERIES, PER_STATEMENT):
        queries = [generator.query() for _ in range(PER_STATEMENT)]
        expected = [{log.seq for log in logs if matches(query, log)} for query in queries]
        for query, found, right in zip(queries, by_columns(clickhouse, queries), expected, strict=True):
            assert found == right, explained(query, logs, found, right)
        for query, right in list(zip(queries, expected, strict=True))[::BY_INDEX_STEP]:
            for found in by_index(clickhouse, query):
                assert found == right, explained(query, logs, found, right)
        told_apart += sum(0 < len(right) < LOGS for right in expected)
    assert told_apart > QUERIES / 3


def by_columns(clickhouse: ClickHouse, queries: list[Node]) -> list[set[int]]:
    """What each query finds, its condition a column of one statement."""
    bind = Binds()
    columns = [f"groupArrayIf(seq, {condition_of(query, bind)})" for query in queries]
    (row,) = clickhouse.query(f"SELECT {', '.join(columns)} FROM logs", bind.values).rows
    return [set(seqs) for seqs in row]


def by_index(clickhouse: ClickHouse, query: Node) -> Iterator[set[int]]:
    """What a query finds as a WHERE, and as one that the index decides alone where it is one."""
    for where in (condition_of, index_condition_of):
        bind = Binds()
        condition = where(query, bind)
        if condition is not None:
            rows = clickhouse.query(f"SELECT seq FROM logs WHERE {condition}", bind.values).rows
            yield {seq for (seq,) in rows}


def condition_of(query: Node, bind: Binds) -> str:
    return " AND ".join(conditions(Filter(query), Piece("table", ALWAYS), bind)) or "true"


def index_condition_of(query: Node, bind: Binds) -> str | None:
    return index_condition(Filter(query), bind)


def explained(query: Node, logs: list[StoredLog], found: set[int], right: set[int]) -> str:
    return f"{query}: {[log for log in logs if log.seq in found ^ right][:3]}"

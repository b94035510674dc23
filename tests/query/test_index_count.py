"""Sums over sets of tokens count what the query counts."""

import random

import pytest

from query.ast import And, MatchAll, Node, Not, Or, Words, conjunction, disjunction, negation
from query.index_count import SETS_MAX, index_sum
from query.known import Known
from query.parser import parse

WORDS = ["a", "b", "c", "d"]
ABSENT = [
    "nothing",
    *(f'"status"{sign}{form}' for sign in ":[" for form in ('"1"', "1.0", '"2"', "2.0")),
    '"status"[1',
    '"status"[2',
]


def made(source: random.Random, depth: int) -> Node:
    kind = source.randrange(4) if depth else 3
    if kind == 0:
        return conjunction([made(source, depth - 1), made(source, depth - 1)])
    if kind == 1:
        return disjunction([made(source, depth - 1), made(source, depth - 1)])
    return negation(made(source, depth - 1)) if kind == 2 else Words(source.choice(WORDS))


def holds(node: Node, log: frozenset[str]) -> bool:
    match node:
        case MatchAll():
            return True
        case Words(text):
            return text in log
        case Not(operand):
            return not holds(operand, log)
        case And(operands):
            return all(holds(each, log) for each in operands)
        case Or(operands):
            return any(holds(each, log) for each in operands)
    raise AssertionError


def test_a_sum_counts_as_the_query_does() -> None:
    source, summed = random.Random(2), 0
    for _ in range(500):
        logs = [frozenset(word for word in WORDS if source.random() < 0.5) for _ in range(30)]
        query = made(source, 3)
        found = index_sum(query, Known())
        if found is None:
            continue
        summed += 1
        total = sum(factor * sum(tokens <= log for log in logs) for tokens, factor in found.items())
        assert total == sum(holds(query, log) for log in logs), query
    assert summed > 300


@pytest.mark.parametrize(
    ("query", "sets"),
    [
        ("*", {frozenset(): 1}),
        ("a", {frozenset("a"): 1}),
        ("nothing", {}),
        ("NOT nothing", {frozenset(): 1}),
        ("a NOT b", {frozenset("a"): 1, frozenset("ab"): -1}),
        ("status:1", {frozenset(['"status":1']): 1}),
        ("status:(1 OR 2)", {frozenset(['"status":1']): 1, frozenset(['"status":2']): 1}),
        ('"a b"', None),
        ("a created:>5", None),
        ("message:/x/", None),
    ],
)
def test_tokens_that_no_log_has_are_left_out(query: str, sets: dict[frozenset[str], int] | None) -> None:
    found = index_sum(parse(query), Known(counts=dict.fromkeys(ABSENT, 0)))
    if found is not None and query == "status:(1 OR 2)":
        found.pop(frozenset(['"status":1', '"status":2']), None)  # no log has two values of a field
    assert found == sets


def test_a_sum_of_too_many_sets_is_none() -> None:
    query = " ".join(f"(w{n} OR w{n + 5})" for n in range(5))
    assert SETS_MAX < 3**5
    assert index_sum(parse(query), Known()) is None

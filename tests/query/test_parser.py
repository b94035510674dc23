"""Any text is a sensible search or a clear error."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import QuerySyntaxError
from query.ast import And, Cidr, FieldEquals, FieldExists, MatchAll, Node, Not, Or, Range, Regex, Words
from query.parser import parse
from tests.query.generated import Generator


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", MatchAll()),
        ("  \n ", MatchAll()),
        ("a b OR c", Or((And((Words("a"), Words("b"))), Words("c")))),
        ("NOT a b", And((Not(Words("a")), Words("b")))),
        ("NOT NOT a", Words("a")),
        ("--a", Words("a")),
        ("+a -b", And((Words("a"), Not(Words("b"))))),
        ("a AND (b AND c)", And((Words("a"), Words("b"), Words("c")))),
        ("user@host:22", Words("user@host:22")),
        ("22:52", Words("22:52")),
        ("C:\\temp", Words("C:\\temp")),
        ("https://host/path#a=b", Words("https://host/path#a=b")),
        ("std::vector", Words("std::vector")),
        ("aa:bb:cc:dd:ee:ff", Words("aa:bb:cc:dd:ee:ff")),
        ("2001:db8::1", Words("2001:db8::1")),
        ("2024-01-15T10:30:00Z", Words("2024-01-15T10:30:00Z")),
        ("ip:2001:db8::1", FieldEquals("ip", "2001:db8::1")),
        ("ip:::1/128", Cidr("ip", "::1/128")),
        ("a:b:c", FieldEquals("a", "b:c")),
        ("ip:10.1.2.3/8", Cidr("ip", "10.0.0.0/8")),
        ('ip:"10.1.2.3/8"', FieldEquals("ip", "10.1.2.3/8")),
        ("a:[* TO *]", FieldExists("a")),
        ("*:*", MatchAll()),
        ("a:(b OR c)", Or((FieldEquals("a", "b"), FieldEquals("a", "c")))),
        ("a:(b -c)", And((FieldEquals("a", "b"), Not(FieldEquals("a", "c"))))),
        ("a:[1 TO 5}", Range("a", "1", "5", True, False)),
        ("a:/b\\/c/", Regex("a", "b/c")),
        ("level:WARNING", FieldEquals("level", "warn")),
        ("(a)(b)", And((Words("a"), Words("b")))),
        ("TO", Words("TO")),
        (
            "'; DROP TABLE logs; --x",
            And((Words("';"), Words("DROP"), Words("TABLE"), Words("logs;"), Words("x"))),
        ),
    ],
)
def test_a_query_is_understood(text: str, tree: Node) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ('"', 0),
        ('a "b', 2),
        ("a:", 2),
        ("a: b", 2),
        ("a:>", 2),
        ("a:[1 TO]", 2),
        ("a:[1 2]", 2),
        ("()", 1),
        ("a OR", 4),
        ("AND", 0),
        ("a AND OR b", 6),
        ("- a", 0),
        ("a -", 2),
        ("level:loud", 6),
        ("level:>5", 6),
        ("_id:5", 4),
        ("timestamp:*5", 10),
        ("timestamp:/a/", 10),
        ("a:>5*", 2),
        ("a:/(/", 2),
        ("a\0b", 1),
        ("(" * 10_000, 32),
        ("(a " * 5_000, 96),
        ("a " * 5000, 512),
        ("a" * 16_385, 16_384),
        ("*a" * 40, 0),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_mistake_is_told_with_its_position(text: str, position: int) -> None:
    with pytest.raises(QuerySyntaxError) as raised:
        parse(text)
    assert raised.value.position == position
    assert raised.value.detail() == {"position": position}


@given(st.text(max_size=200) | st.text(alphabet='ab:()"\\*?-+! ANDORT[]{}/<>=~.1\n', max_size=60))
@settings(max_examples=1500, deadline=None)
def test_any_text_is_a_query_that_prints_itself_or_a_syntax_error(text: str) -> None:
    tree = tree_or_position(text)
    if isinstance(tree, int):
        assert 0 <= tree <= len(text)
    else:
        assert parse(str(tree)) == tree


def tree_or_position(text: str) -> Node | int | None:
    try:
        return parse(text)
    except QuerySyntaxError as error:
        return error.position


def test_a_printed_query_parses_to_the_same_tree() -> None:
    generator = Generator(5)
    for _ in range(1500):
        query = generator.query()
        assert parse(str(query)) == query, f"{query}"


@pytest.mark.parametrize(
    "piece", ["(", "a:(", "NOT ", "a OR ", '"', "\\", "[", "a:[", "-", "*", "a:/", "😀", "a:b "]
)
def test_time_is_linear_in_the_text(piece: str) -> None:
    began = time.perf_counter()
    tree_or_position((piece * 20_000)[:16_000])
    assert time.perf_counter() - began < 5

"""Highlights mark what the query found in this log, and can be shown on a page."""

from typing import Any

import pytest

from query.highlights import fragments_of, highlights
from query.parser import parse


def row(message: str, **attributes: str) -> dict[str, Any]:
    return {"message": message, "level": "error", "service": "api", "attributes": attributes}


@pytest.mark.parametrize(
    ("query", "message", "fragments"),
    [
        ("timeout", "Database timeout, TIMEOUT", ["Database <mark>timeout</mark>, <mark>TIMEOUT</mark>"]),
        ('"a b"', "b a-b a", ["b <mark>a</mark>-<mark>b</mark> a"]),
        ("größe", "Größe", ["<mark>Größe</mark>"]),
        ("t?me*", "times time tim", ["<mark>times</mark> <mark>time</mark> tim"]),
        ("message:us*@ho?t", "user@host", ["<mark>user</mark>@<mark>host</mark>"]),
        ("message:/o+/", "foo bo", ["f<mark>oo</mark> b<mark>o</mark>"]),
        ("<b>", "<b>&amp;</b>", ["&lt;<mark>b</mark>&gt;&amp;amp;&lt;/<mark>b</mark>&gt;"]),
        ('"->"', "a -> b", ["a <mark>-&gt;</mark> b"]),
        ("message:/x*/", "abc", None),
        ("message:/\\Qa/", "abc", None),
        ("NOT timeout", "all well", None),
        ("a OR b", "only b", ["only <mark>b</mark>"]),
        ("*", "anything", None),
    ],
)
def test_the_message_is_marked(query: str, message: str, fragments: list[str] | None) -> None:
    (found,) = highlights(parse(query), [row(message)])
    assert found == ({} if fragments is None else {"message": fragments})


def test_values_are_marked_by_field() -> None:
    stored = row("m", status="503", tags='["full","disk"]', path='"C:\\\\temp"')
    query = "level:error service:a* status:503 tags:full path:/temp/ duration:>5"
    assert highlights(parse(query), [stored]) == [
        {
            "level": ["<mark>error</mark>"],
            "service": ["<mark>api</mark>"],
            "status": ["<mark>503</mark>"],
            "tags": ["<mark>full</mark>"],
            "path": ["C:\\<mark>temp</mark>"],
        }
    ]


def test_each_log_has_its_own_marks() -> None:
    found = highlights(parse("a OR b"), [row("a"), row("b"), row("c")])
    assert found == [{"message": ["<mark>a</mark>"]}, {"message": ["<mark>b</mark>"]}, {}]


def test_long_texts_are_cut_around_the_marks() -> None:
    text = "x" * 500 + " needle " + "y" * 500 + " needle"
    fragments = fragments_of(text, [(501, 507), (len(text) - 6, len(text))])
    assert fragments == [
        "…" + "x" * 59 + " <mark>needle</mark> " + "y" * 59 + "…",
        "…" + "y" * 59 + " <mark>needle</mark>",
    ]


def test_a_text_with_the_marks_inside_is_left_alone() -> None:
    assert highlights(parse("message:/a/"), [row("a\x02b")]) == [{}]

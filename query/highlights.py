"""Highlights: by field, fragments of a log in which what the query found is marked, fit for a page."""

import html
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, Final

import orjson

from query.answers import Row
from query.ast import And, FieldEquals, Leaf, Node, Not, Or, Regex, Wildcard, Words
from query.catalog import Kind, field_named
from query.pattern import Glob, Pattern
from query.regex import Spans, regex_matches, regex_spans
from query.tokens import value_texts
from query.words import find_words, fold, word_patterns, words_of

MARK: Final = ("<mark>", "</mark>")
FRAGMENTS_MAX: Final = 3  # of one field
MESSAGE: Final = "message"
CONTEXT: Final = 60  # characters around a match
FIELD_TERMS: Final = (FieldEquals, Wildcard, Regex)  # numbers and times have no words to show

Texts = list[str]


def highlights(query: Node, rows: Sequence[Row]) -> list[dict[str, list[str]]]:
    """Of each row: field name → fragments as `Database <mark>timeout</mark>`; the text itself is escaped."""
    marks = [_Marks() for _ in rows]
    for leaf in positive_leaves(query):
        if isinstance(leaf, Words) or (isinstance(leaf, FIELD_TERMS) and leaf.field == MESSAGE):
            _mark_message(leaf, rows, marks)
        elif isinstance(leaf, FIELD_TERMS):
            _mark_values(leaf, rows, marks)
    return [each.fragments() for each in marks]


def positive_leaves(node: Node) -> list[Leaf]:
    """The terms that a log can match by having something; what stands under NOT is left out."""
    if isinstance(node, And | Or):
        return [leaf for operand in node.operands for leaf in positive_leaves(operand)]
    return [] if isinstance(node, Not) else [node]


class _Marks:
    """Where one log is marked: by field and text."""

    def __init__(self) -> None:
        self._spans: dict[str, dict[str, Spans]] = defaultdict(dict)

    def add(self, field: str, text: str, spans: Spans) -> None:
        if spans:
            self._spans[field].setdefault(text, []).extend(spans)

    def fragments(self) -> dict[str, list[str]]:
        return {
            field: [fragment for text, spans in texts.items() for fragment in fragments_of(text, spans)][
                :FRAGMENTS_MAX
            ]
            for field, texts in self._spans.items()
        }


def fragments_of(text: str, spans: Spans) -> list[str]:
    """The parts of a text around its marks; `…` stands where it was cut."""
    windows: list[tuple[int, int, Spans]] = []
    for start, end in _joined(spans):
        if windows and start - CONTEXT <= windows[-1][1]:
            begin, _, inside = windows.pop()
        else:
            begin, inside = max(0, start - CONTEXT), []
        windows.append((begin, min(len(text), end + CONTEXT), [*inside, (start, end)]))
    return [_fragment(text, *window) for window in windows[:FRAGMENTS_MAX]]


def _fragment(text: str, begin: int, end: int, spans: Spans) -> str:
    parts, at = ["…" if begin else ""], begin
    for start, stop in spans:
        parts += [html.escape(text[at:start]), MARK[0], html.escape(text[start:stop]), MARK[1]]
        at = stop
    return "".join([*parts, html.escape(text[at:end]), "…" if end < len(text) else ""])


def _joined(spans: Spans) -> Spans:
    joined: Spans = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _mark_message(
    leaf: Words | FieldEquals | Wildcard | Regex, rows: Sequence[Row], marks: list[_Marks]
) -> None:
    messages = [row["message"] for row in rows]
    if isinstance(leaf, Regex):
        found = regex_spans(messages, leaf.source)
    elif isinstance(leaf, Wildcard):
        found = _wildcard_spans(messages, leaf.pattern)
    else:
        assert isinstance(leaf, Words), "equality in the message is words"
        words = words_of(leaf.text)
        found = (
            _phrase_spans(messages, words) if words else [_text_spans(each, leaf.text) for each in messages]
        )
    for mark, message, spans in zip(marks, messages, found, strict=True):
        mark.add(MESSAGE, message, spans)


def _sequence_spans(text: str, accepted: Sequence[Collection[str]]) -> Spans:
    """Words one after the other, each of which is one of the accepted ones at its place."""
    places = find_words(text)
    words = [text[start:end] for start, end in places]
    size = len(accepted)
    return [
        span
        for first in range(len(places) - size + 1)
        if all(word in each for word, each in zip(words[first:], accepted, strict=False))
        for span in places[first : first + size]
    ]


def _text_spans(text: str, part: str) -> Spans:
    spans, at = [], text.find(part)
    while at >= 0:
        spans.append((at, at + len(part)))
        at = text.find(part, at + len(part))
    return spans


def _wildcard_spans(messages: Texts, pattern: Pattern) -> list[Spans]:
    distinct = _distinct_words(messages)
    accepted = [
        {
            word
            for word, yes in zip(distinct, regex_matches(distinct, f"(?i)^(?:{re2_of(each)})$"), strict=True)
            if yes
        }
        for each in word_patterns(pattern)
    ]
    return [_sequence_spans(message, accepted) if accepted else [] for message in messages]


def _phrase_spans(messages: Texts, words: list[str]) -> list[Spans]:
    distinct = _distinct_words(messages)
    accepted = [{word for word in distinct if fold(word) == each} for each in words]
    return [_sequence_spans(message, accepted) for message in messages]


def _distinct_words(messages: Texts) -> list[str]:
    return list({message[start:end] for message in messages for start, end in find_words(message)})


def _mark_values(leaf: FieldEquals | Wildcard | Regex, rows: Sequence[Row], marks: list[_Marks]) -> None:
    texts = [(index, text) for index, row in enumerate(rows) for text in shown_texts(row, leaf.field)]
    values = [text for _, text in texts]
    if isinstance(leaf, Regex):
        found = regex_spans(values, leaf.source)
    else:
        if isinstance(leaf, FieldEquals):
            equal = {leaf.value, *value_texts(leaf.value)}
            covered = [value in equal for value in values]
        else:
            covered = regex_matches(values, f"(?s)^(?:{re2_of(leaf.pattern)})$")
        found = [[(0, len(value))] if each else [] for value, each in zip(values, covered, strict=True)]
    for (index, text), spans in zip(texts, found, strict=True):
        marks[index].add(leaf.field, text, spans)


def shown_texts(row: Row, name: str) -> Texts:
    """A field's value as a person reads it; of an array each element's."""
    field = field_named(name)
    if field.kind is not Kind.JSON:
        value = row.get(field.column or "")
        return [value] if isinstance(value, str) and value else []
    stored = row["attributes"].get(name)
    if stored is None:
        return []
    if not stored.startswith(("[", '"')):
        return [stored]
    value = orjson.loads(stored)
    return [each if isinstance(each, str) else orjson.dumps(each).decode() for each in _listed(value)]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def re2_of(pattern: Pattern) -> str:
    """The expression of a pattern."""
    signs = {Glob.ANY: ".*", Glob.ONE: "."}
    return "".join(signs[part] if isinstance(part, Glob) else re.escape(part) for part in pattern)

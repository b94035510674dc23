"""Words are cut in this process as the store cuts them."""

import sys
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from query.regex import regex_matches
from query.words import find_words, sequence_regex, words_of
from storage.clickhouse import ClickHouse


def test_every_character_separates_or_belongs_to_a_word_as_it_does_in_the_store(
    empty_clickhouse: ClickHouse,
) -> None:
    characters = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    # Those that a version of Unicode gave a small letter which the other side does not know yet are left out.
    known = [
        each
        for each in characters
        if unicodedata.category(each) not in ("Cn", "Co") and len(each.lower()) == 1
    ]
    for first in range(0, len(known), 20_000):
        texts = [f"a{each}B" for each in known[first : first + 20_000]]
        (row,) = empty_clickhouse.query(
            "SELECT arrayMap(text -> splitByNonAlpha(lowerUTF8(text)), splitByChar('\\n', {texts:String}))",
            {"texts": "\n".join(text.replace("\n", " ") for text in texts)},
        ).rows
        wrong = [text for text, words in zip(texts, row[0], strict=True) if list(words) != words_of(text)]
        assert len(wrong) < 50, wrong[:20]


@given(st.lists(st.sampled_from(["ab", "Ä", "x_y", "-", " ", "~", "7"]), max_size=12).map("".join))
@settings(max_examples=300, deadline=None)
def test_words_stand_where_they_are_found(text: str) -> None:
    assert [text[start:end].lower() for start, end in find_words(text)] == words_of(text)


@given(
    st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3),
    st.lists(st.sampled_from(["a", "b", "ab", "-", " "]), max_size=9).map("".join),
)
@settings(max_examples=300, deadline=None)
def test_a_sequence_is_found_where_its_words_follow_each_other(words: list[str], text: str) -> None:
    there = words_of(text)
    follow = any(there[at : at + len(words)] == words for at in range(len(there)))
    assert regex_matches([text], sequence_regex([(word,) for word in words])) == [follow]

"""The words of a message: how text is cut into the tokens that the index holds.

As ClickHouse's `splitByNonAlpha` does it: ASCII signs and blanks separate words (control characters and `~`
do not, but for U+001F, which separates tokens), every other character belongs to a word, and case does not
count.
"""

import re
from collections.abc import Iterable
from typing import Final

from query.pattern import Glob, Pattern

SEPARATOR_CLASS: Final = r"[\t-\r\x1f -/:-@\[-`{-}]"  # the same in RE2 and in Python

_SEPARATOR = re.compile(SEPARATOR_CLASS)
_SEPARATORS = re.compile(f"{SEPARATOR_CLASS}+")
_NO_SEPARATOR: Final = f"[^{SEPARATOR_CLASS[1:]}"
_WORD = re.compile(f"{_NO_SEPARATOR}+")


def words_of(text: str) -> list[str]:
    """The words in their order, folded to lower case."""
    return _WORD.findall(fold(text))


def find_words(text: str) -> list[tuple[int, int]]:
    """Where the words stand in a text: pairs of start and end."""
    return [word.span() for word in _WORD.finditer(text)]


def word_patterns(pattern: Pattern) -> list[Pattern]:
    """The patterns of single words: wildcards stay inside a word, signs and blanks are all alike."""
    words: list[list[str | Glob]] = [[]]
    for part in pattern:
        pieces = [part] if isinstance(part, Glob) else _SEPARATORS.split(part)
        for index, piece in enumerate(pieces):
            if index:
                words.append([])
            if piece:
                words[-1].append(piece)
    return [tuple(word) for word in words if word]


def sequence_regex(words: Iterable[Pattern]) -> str:
    """The RE2 expression of words that follow each other in a folded text, from edge to edge."""
    inside = f"{SEPARATOR_CLASS}+".join(map(_word_regex, words))
    return f"(?:^|{SEPARATOR_CLASS}){inside}(?:$|{SEPARATOR_CLASS})"


def _word_regex(word: Pattern) -> str:
    if word == (Glob.ANY,):
        return f"{_NO_SEPARATOR}+"  # a word has at least one character
    signs = {Glob.ANY: f"{_NO_SEPARATOR}*", Glob.ONE: _NO_SEPARATOR}
    return "".join(signs[part] if isinstance(part, Glob) else re.escape(fold(part)) for part in word)


def fold(text: str) -> str:
    """The text as the index has it: lower case."""
    return text.lower()


def is_word(text: str) -> bool:
    """Whether the text has nothing in it that separates words."""
    return _WORD.fullmatch(text) is not None

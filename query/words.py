"""The words of a message: how text is cut into the tokens that the index holds.

The same as ClickHouse's `splitByNonAlpha(lowerUTF8(message))`: ASCII signs and blanks separate words (control
characters and `~` do not), every other character belongs to a word, and case does not count.
"""

import re
from typing import Final

SEPARATOR_CLASS: Final = r"[\t-\r -/:-@\[-`{-}]"  # the same in RE2 and in Python

_SEPARATOR = re.compile(SEPARATOR_CLASS)
_WORD = re.compile(r"[^" + SEPARATOR_CLASS[1:] + "+")


def words_of(text: str) -> list[str]:
    """The words in their order, folded to lower case."""
    return _WORD.findall(fold(text))


def fold(text: str) -> str:
    """The text as the index has it: lower case."""
    return text.lower()


def is_separator(character: str) -> bool:
    """Whether the character stands between words."""
    return _SEPARATOR.fullmatch(character) is not None

"""RE2, by way of Arrow: syntax and linear time of the store's regular expressions, in this process."""

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from core.limits import REGEX_CHARACTERS_MAX

# Marks around what an expression finds; texts that hold one themselves are left alone.
_BEGIN: Final = "\x02"
_END: Final = "\x03"

Spans = list[tuple[int, int]]


def regex_problem(source: str) -> str | None:
    """Why the expression cannot be used; None when it can. RE2 itself bounds the size of its program."""
    if len(source) > REGEX_CHARACTERS_MAX:
        return f"a regular expression has at most {REGEX_CHARACTERS_MAX} characters"
    try:
        pc.match_substring_regex(pa.array([""]), source)
    except pa.ArrowInvalid as error:
        return str(error).removeprefix("Invalid regular expression: ")
    return None


def regex_matches(texts: Sequence[str], source: str) -> list[bool]:
    """Which texts the expression is found in."""
    return [bool(each) for each in pc.match_substring_regex(pa.array(texts, pa.string()), source).to_pylist()]


def regex_spans(texts: Sequence[str], source: str) -> list[Spans]:
    """Where the expression is found in each text: pairs of start and end, none of them empty."""
    try:
        marked = pc.replace_substring_regex(
            pa.array(texts, pa.string()), pattern=f"({source})", replacement=rf"{_BEGIN}\1{_END}"
        )
    except pa.ArrowInvalid:  # an open `\Q` takes the parenthesis for its own
        return [[] for _ in texts]
    return [
        [] if _BEGIN in text or _END in text else _spans(each)
        for text, each in zip(texts, map(str, marked.to_pylist()), strict=True)
    ]


def _spans(marked: str) -> Spans:
    before, *pieces = marked.split(_BEGIN)
    spans, at = [], len(before)
    for piece in pieces:
        inside, _, after = piece.partition(_END)
        if inside:
            spans.append((at, at + len(inside)))
        at += len(inside) + len(after)
    return spans

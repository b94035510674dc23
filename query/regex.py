"""Checks a regular expression before the store sees it: RE2's syntax, and a bound on its cost.

RE2 runs in linear time; what costs is the size of its program, which nested counted repeats multiply.
This is a check of the outline (what RE2 lacks, what does not close, what repeats too often), so that the
client learns the position; the store compiles the expression and has the last word.
Source: https://github.com/google/re2/wiki/Syntax.
"""

import re
from dataclasses import dataclass, field

from core.limits import REGEX_CHARACTERS_MAX, REGEX_REPEATS_MAX

_ESCAPE = re.compile(
    r"\\(?:[aftnrvAbBzdDsSwWC]|[pP](?:\{\^?\w+\}|\w)|x(?:[0-9A-Fa-f]{2}|\{[0-9A-Fa-f]{1,6}\})"
    r"|Q.*?(?:\\E|$)|[0-7]{3}|0|[^\w])",
    re.DOTALL,
)
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]", re.DOTALL)
_GROUP = re.compile(r"\((?:\?(?:P?<[A-Za-z_]\w*>|[imsU]*(?:-[imsU]+)?:|(?P<flags>[imsU]*(?:-[imsU]+)?)\)))?")
_REPEAT = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}|[*+?]")


@dataclass(slots=True)
class _Group:
    position: int
    repeats: int = 1  # the largest product of counted repeats inside
    atom: int = field(default=0)  # the same for the last atom; 0: there is none to repeat


def regex_problem(source: str) -> tuple[int, str] | None:
    """The position and the reason why the expression cannot be used; None when it can."""
    if len(source) > REGEX_CHARACTERS_MAX:
        return REGEX_CHARACTERS_MAX, f"a regular expression has at most {REGEX_CHARACTERS_MAX} characters"
    groups = [_Group(0)]
    position = 0
    while position < len(source):
        step = _step(source, position, groups)
        if isinstance(step, str):
            return position, step
        position = step
    if len(groups) > 1:
        return groups[-1].position, "the parenthesis is not closed"
    return None


def _step(source: str, position: int, groups: list[_Group]) -> int | str:
    """The position behind one piece of the expression, or what is wrong with it."""
    group, sign = groups[-1], source[position]
    if sign == "(":
        return _open(source, position, groups)
    if sign == ")":
        if len(groups) == 1:
            return "the parenthesis was not opened"
        groups.pop()
        groups[-1].atom = group.repeats
        return position + 1
    if sign == "|":
        group.atom = 0
        return position + 1
    if repeat := _REPEAT.match(source, position):
        return _repeat(repeat, group)
    if sign == "[" or sign == "\\":
        piece = (_CLASS if sign == "[" else _ESCAPE).match(source, position)
        if piece is None:
            return "the bracket is not closed" if sign == "[" else "the escape is not one that RE2 knows"
        group.atom = 1
        return piece.end()
    group.atom = 1
    return position + 1


def _open(source: str, position: int, groups: list[_Group]) -> int | str:
    opening = _GROUP.match(source, position)
    assert opening is not None, "every parenthesis matches"
    if opening.end() == position + 1 and source.startswith("?", position + 1):
        return "RE2 has no such group (no look-around, no atomic groups)"
    if opening["flags"] is None:
        groups.append(_Group(position))
    return opening.end()


def _repeat(repeat: re.Match[str], group: _Group) -> int | str:
    if group.atom == 0:
        return "there is nothing to repeat"
    if repeat[1] is not None:
        low, high = int(repeat[1]), int(repeat[3] or repeat[1])
        if high < low:
            return "the repeat ends below its start"
        group.atom *= max(1, low, high)
    group.repeats = max(group.repeats, group.atom)
    if group.repeats > REGEX_REPEATS_MAX:
        return f"nested repeats multiply to more than {REGEX_REPEATS_MAX}"
    end = repeat.end()
    if repeat.string.startswith("?", end):
        return end + 1
    if _REPEAT.match(repeat.string, end):
        return "a repeat is repeated"
    return end

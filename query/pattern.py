r"""Wildcard patterns: `*` stands for any characters, `?` for one; `\` takes a sign's special meaning away.

`\` before a letter, digit or underscore is itself, so that `C:\temp` needs no care.
"""

import re
from collections.abc import Iterator
from enum import Enum
from itertools import chain, groupby


class Glob(Enum):
    """A wildcard."""

    ANY = "*"
    ONE = "?"


Pattern = tuple[str | Glob, ...]

_PIECE = re.compile(r"\\(?P<sign>[^\w])|(?P<glob>[*?])|(?P<text>[^\\*?]+|\\)", re.DOTALL)
_SPECIAL = re.compile(r"[^\w]")


def read_pattern(raw: str) -> Pattern:
    """The parts of a text as typed: literals without their escapes, no two beside each other, and wildcards.

    Wildcards beside each other are put in order: `*?*` is `?*`.
    """
    return normal_pattern(
        [
            Glob(piece["glob"]) if piece["glob"] else piece["sign"] or piece["text"]
            for piece in _PIECE.finditer(raw)
        ]
    )


def normal_pattern(pieces: list[str | Glob]) -> Pattern:
    """Literals joined and empty ones left out; of wildcards side by side first each ONE, then one ANY."""
    return tuple(chain.from_iterable(_runs([piece for piece in pieces if piece != ""])))


def _runs(pieces: list[str | Glob]) -> Iterator[list[str | Glob]]:
    for literal, run in groupby(pieces, lambda piece: isinstance(piece, str)):
        if literal:
            yield ["".join(piece for piece in run if isinstance(piece, str))]
            continue
        globs = list(run)
        ones: list[str | Glob] = [glob for glob in globs if glob is Glob.ONE]
        yield ones + ([Glob.ANY] if Glob.ANY in globs else [])


def literal_text(pattern: Pattern) -> str | None:
    """The text of a pattern without wildcards; None when it has one."""
    if any(isinstance(part, Glob) for part in pattern):
        return None
    return "".join(part for part in pattern if isinstance(part, str))


def print_pattern(pattern: Pattern) -> str:
    """The pattern as it can be typed."""
    return "".join(
        part.value if isinstance(part, Glob) else _SPECIAL.sub(lambda sign: "\\" + sign[0], part)
        for part in pattern
    )

"""Where the fields of many JSON objects lie in their text, found for all of them at once.

The text is known to be valid UTF-8 and valid JSON: objects, joined by a comma or a line break. In JSON
without white space a quoted string followed by `:` is a field's name, and what follows goes on until the
next name, less the `,` and the brackets between. So numpy finds all fields with a few passes over the places
of the quotes. Only objects and arrays as values need the brackets too: those outside strings give each name
its depth.
"""

from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]

_QUOTE, _BACKSLASH, _COLON, _COMMA, _BLANK = (ord(sign) for sign in '"\\:, ')
_OPEN, _CLOSE = ord("{"), ord("}")
_SAMPLE_BYTES: Final = 512
_LOWER: Final = 0x20  # what tells `{` from `[` and `}` from `]`


class Fields(NamedTuple):
    """The fields of all objects in the order of the text, one element of each array for each field.

    `start`:`end` is its value, empty for an object that has fields of its own; `depth` is None when no
    object holds another one. Fields of objects within arrays belong to the array's text and are left out.
    """

    text: bytes
    signs: NDArray[np.uint8]
    objects: int
    object: Positions
    depth: Positions | None
    name_start: Positions
    name_end: Positions
    start: Positions
    end: Positions
    depth_max: Positions | None  # of each object, arrays included


def slices(
    text: bytes | NDArray[np.uint8], start: Positions, end: Positions, wanted: Positions | None = None
) -> Any:
    """Pieces of a text as an Arrow array of strings: all that the bounds enclose, or the wanted ones."""
    bounds: Any = np.zeros(2 * len(start) + 1, np.int32)
    bounds[1::2], bounds[2::2] = start, end
    signs: Any = text  # pyarrow's stubs know no arrays as buffers
    pieces: Any = pa.StringArray.from_buffers(2 * len(start), pa.py_buffer(bounds), pa.py_buffer(signs))
    return pieces.take(pa.array(2 * (np.arange(len(start)) if wanted is None else wanted) + 1))


def replaced(texts: Any, flags: Any, replacements: list[str]) -> Any:
    """An Arrow array of strings with others in the flagged places, as many as there are flags."""
    if not replacements:
        return texts
    return pc.replace_with_mask(texts, flags, pa.array(replacements, pa.string()))


def find_fields(text: bytes, objects: int, joint: bytes) -> Fields:
    """The fields of that many objects, joined by a comma or a line break."""
    if b"[" in text or np.count_nonzero(np.frombuffer(text, np.uint8) == _OPEN) != objects:
        return _nested_fields(_compact(text, joint), objects)
    # As Python's json.dumps writes it: then all of the text has blanks.
    spaced = b'": ' in text[:_SAMPLE_BYTES]
    fields = None if spaced else _flat_fields(text, objects)
    if fields is None:
        text = _compact(text, joint)
        fields = _flat_fields(text, objects)
    return fields or _nested_fields(text, objects)


def _compact(text: bytes, joint: bytes) -> bytes:
    # In lines every line break is a joint.
    array = b"[%s]" % (text if joint == b"," else text.replace(joint, b","))
    return msgspec.json.format(array, indent=-1)[1:-1]


def _flat_fields(text: bytes, objects: int) -> Fields | None:
    """The fields, if no object holds another one or is empty, and there is no white space."""
    signs = np.frombuffer(text, np.uint8)
    _, name_start, name_end, compact = _names(text, signs)
    if not compact or not len(name_start):
        return None
    before = signs[name_start - 2]
    first = before == _OPEN
    start = name_end + 2
    end = np.empty_like(start)
    # Before the next name lie `,"`, or `},{"` when it is another object's.
    end[:-1] = name_start[1:] - 2 - 2 * first[1:]
    end[-1] = len(text) - 1
    if np.count_nonzero(first) != objects or not np.all(first | (before == _COMMA)):
        return None
    starts = np.flatnonzero(first)
    if np.any(signs[start] <= _BLANK) or np.any(signs[end - 1] <= _BLANK):
        return None
    if np.any(signs[end[starts[1:] - 1]] != _CLOSE):
        return None
    return Fields(text, signs, objects, np.cumsum(first) - 1, None, name_start, name_end, start, end, None)


def _names(text: bytes, signs: NDArray[np.uint8]) -> tuple[Positions, Positions, Positions, bool]:
    """All quotes, the bounds of the names, and whether no string is followed by white space."""
    quotes = np.flatnonzero(signs == _QUOTE)
    if b"\\" in text:
        quotes = _unescaped(quotes, signs)
    closing = quotes[1::2]
    after = signs[closing + 1]
    names = np.flatnonzero(after == _COLON)
    return quotes, quotes[0::2][names] + 1, closing[names], not np.any(after <= _BLANK)


def _unescaped(quotes: Positions, signs: NDArray[np.uint8]) -> Positions:
    """The quotes with an even number of backslashes before them."""
    candidates = np.flatnonzero(signs[quotes - 1] == _BACKSLASH)
    backslashes = np.flatnonzero(signs == _BACKSLASH)
    run_starts = backslashes[np.diff(backslashes, prepend=-2) != 1]
    before = quotes[candidates] - 1
    run_lengths = before - run_starts[np.searchsorted(run_starts, before, "right") - 1] + 1
    return np.delete(quotes, candidates[run_lengths % 2 == 1])


def _nested_fields(text: bytes, objects: int) -> Fields:
    """The fields, in a text without white space."""
    signs = np.frombuffer(text, np.uint8)
    quotes, name_start, name_end, _ = _names(text, signs)
    folded = signs | _LOWER
    brackets = np.flatnonzero((folded == _OPEN) | (folded == _CLOSE))
    brackets = brackets[np.searchsorted(quotes, brackets) % 2 == 0]
    kinds = signs[brackets]
    steps = (kinds & 2).astype(np.int64) - 1  # +1 opens, -1 closes
    depths = np.cumsum(steps)
    in_arrays = np.cumsum(np.where(kinds & _LOWER, 0, steps))
    last_bracket = np.searchsorted(brackets, name_start) - 1
    wanted = np.flatnonzero(in_arrays[last_bracket] == 0)
    name_start, name_end, depth = name_start[wanted], name_end[wanted], depths[last_bracket[wanted]]
    outermost = np.flatnonzero(depths == 0)
    closes = brackets[outermost]
    assert len(closes) == objects
    owner = np.searchsorted(closes, name_start)
    start = name_end + 2
    last = np.ones(len(owner), np.bool_)
    last[:-1] = owner[1:] != owner[:-1]
    end = np.empty_like(start)
    # Before the next name lie the brackets that close, and `,"`; after an object's last field only brackets.
    end[:-1] = name_start[1:] - 2 - (depth[:-1] - depth[1:])
    end[last] = closes[owner[last]] - (depth[last] - 1)
    holds_fields = (signs[start] == _OPEN) & (signs[start + 1] == _QUOTE)
    end[holds_fields] = start[holds_fields]
    depth_max = np.maximum.reduceat(depths, np.append(0, outermost[:-1] + 1))
    return Fields(text, signs, objects, owner, depth, name_start, name_end, start, end, depth_max)

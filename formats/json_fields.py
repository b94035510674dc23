"""The packed fields (core.packed_fields) of many JSON records at once, by the rules of formats.attributes."""

from __future__ import annotations  # Arrow's classes are generic to the type checker alone

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.packed_fields import SEPARATOR, TOKEN_VALUE_BYTES, prefix
from formats.attributes import canonical
from formats.json_names import Names
from formats.json_scan import Fields, Positions, replaced, slices

# What stands between the beginning of a pair, which is the sign before its name's quote, and its name.
_SIGNS_BEFORE_NAME: Final = 2
_OTHER_ESCAPES: Final = ("\\u", "\\/")  # than orjson writes


def field_columns(fields: Fields, names: Names, attributes: Positions) -> tuple[Any, Any]:
    """`fields` and `long_fields` of all records; `attributes` are the places of what belongs to them."""
    if names.verbatim and fields.depth is None and not _has_other_escapes(fields.text):
        return _as_they_stand(fields, attributes)
    return _put_together(fields, names, attributes)


def _has_other_escapes(text: bytes) -> bool:
    # One byte is found ten times faster than two.
    return b"\\" in text and any(escape.encode() in text for escape in _OTHER_ESCAPES)


def _as_they_stand(fields: Fields, attributes: Positions) -> tuple[Any, Any]:
    """Cut out of the text, with separators for the signs before the names."""
    marked = fields.signs.copy()
    marked[fields.name_start - _SIGNS_BEFORE_NAME] = ord(SEPARATOR)
    long = fields.end[attributes] - fields.start[attributes] >= TOKEN_VALUE_BYTES
    short_pieces, long_pieces = (_runs(fields, marked, attributes[each]) for each in (~long, long))
    return _of_rows(*short_pieces, fields.objects), _of_rows(*long_pieces, fields.objects)


def _put_together(fields: Fields, names: Names, attributes: Positions) -> tuple[Any, Any]:
    """Made of names and values, pair by pair."""
    owners, values = fields.object[attributes], _values(fields, attributes)
    prefixes: Any = pa.array([prefix(name) for name in names.names], pa.string())
    pairs: Any = pc.binary_join_element_wise(prefixes.take(pa.array(names.numbers[attributes])), values, "")
    lengths: Any = pc.binary_length(values)
    long = lengths.to_numpy() >= TOKEN_VALUE_BYTES
    if fields.depth is not None:
        long |= pc.starts_with(values, "[").to_numpy(zero_copy_only=False)
    short_pairs, long_pairs = (pairs.filter(pa.array(each)) for each in (~long, long))
    return _of_rows(short_pairs, owners[~long], fields.objects), _of_rows(
        long_pairs, owners[long], fields.objects
    )


def _runs(fields: Fields, marked: NDArray[np.uint8], places: Positions) -> tuple[Any, Positions]:
    """The texts of fields that follow each other in one object, as they stand, and their objects."""
    owners = fields.object[places]
    first = np.ones(len(places), np.bool_)
    first[1:] = (np.diff(places) != 1) | (np.diff(owners) != 0)
    starts = np.flatnonzero(first)
    if not len(starts):
        return None, owners
    lasts = np.append(starts[1:], len(places)) - 1
    begin = fields.name_start[places[starts]] - _SIGNS_BEFORE_NAME
    return slices(marked, begin, fields.end[places[lasts]]), owners[starts]


def _of_rows(pieces: Any, owners: Positions, rows: int) -> Any:
    """The pieces of each row as one text, in their order."""
    if not len(owners):
        return pa.repeat(pa.scalar("", pa.string()), rows)
    if len(owners) == rows and owners[0] == 0 and np.all(np.diff(owners) == 1):
        return pieces
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(np.bincount(owners, minlength=rows), out=offsets[1:])
    from_arrays: Any = pa.ListArray.from_arrays  # its stubs know no offsets of numpy's
    return pc.binary_join(from_arrays(offsets, pieces), "")


def _values(fields: Fields, places: Positions) -> Any:
    """The JSON texts of some fields, as formats.attributes.canonical writes them."""
    values: Any = slices(fields.text, fields.start, fields.end, places)
    doubtful = []
    if b"\\" in fields.text:
        doubtful = [pc.match_substring(values, escape) for escape in _OTHER_ESCAPES]
    if fields.depth is not None:
        doubtful.append(pc.and_(pc.starts_with(values, "["), pc.match_substring(values, "{")))
    for flags in doubtful:
        texts = values.filter(flags).to_pylist()
        values = replaced(values, flags, [canonical(text, 1) for text in texts])
    return values

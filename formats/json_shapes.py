"""The shapes of many records (formats.attributes), each worked out once for all records that are alike."""

from __future__ import annotations  # Arrow's classes are generic to the type checker alone

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.limits import RECORD_FIELDS_MAX
from formats.attributes import flatten, read_object
from formats.json_scan import Fields, Positions

# Records are alike if the hashes of their fields are: no sender can know these factors.
_FACTORS: Final = np.random.default_rng().integers(0, 2**63, 3, np.uint64) * np.uint64(2) + np.uint64(1)
_POWERS: Final = np.multiply.accumulate(np.full(RECORD_FIELDS_MAX, _FACTORS[0]))


def shape_column(fields: Fields, numbers: Positions, attributes_from: int) -> Any:
    """The shapes, given the number of each field's path; those below `attributes_from` are no attributes."""
    if fields.depth is None or not len(numbers):
        return pa.repeat(pa.scalar("", pa.string()), fields.objects)
    attributes = np.flatnonzero(numbers >= attributes_from)
    owners = fields.object[attributes]
    holding = fields.end[attributes] == fields.start[attributes]
    nested = np.zeros(fields.objects, np.bool_)
    nested[owners[holding]] = True
    hashes = np.zeros(fields.objects, np.uint64)
    firsts = np.flatnonzero(np.diff(owners, prepend=-1))
    if len(firsts):
        place = np.arange(len(owners)) - np.repeat(firsts, np.diff(firsts, append=len(owners)))
        marks = (numbers[attributes] << 8) + (fields.depth[attributes] << 1) + holding
        hashes[owners[firsts]] = np.add.reduceat(_mixed(marks) * _POWERS[place], firsts)
    rows = np.flatnonzero(nested)
    _, examples, kinds = np.unique(hashes[rows], return_index=True, return_inverse=True)
    shapes: Any = pa.array(["", *(_shape(fields, row) for row in rows[examples])], pa.string())
    kind_of_row = np.zeros(fields.objects, np.int64)
    kind_of_row[rows] = kinds + 1
    return shapes.take(pa.array(kind_of_row))


def _mixed(marks: Positions) -> NDArray[np.uint64]:
    mixed: NDArray[np.uint64] = marks.astype(np.uint64) * _FACTORS[1]
    mixed ^= mixed >> np.uint64(32)
    mixed *= _FACTORS[2]
    mixed ^= mixed >> np.uint64(29)
    return mixed


def _shape(fields: Fields, row: np.int64) -> str:
    assert fields.depth is not None
    first, last = np.searchsorted(fields.object, [row, row + 1]) - [0, 1]
    members = read_object(fields.text[fields.name_start[first] - 2 : fields.end[last] + fields.depth[last]])
    for name in ("timestamp", "level", "service", "message"):
        members.pop(name, None)
    return flatten(members).shape

"""The stored names of the fields of many JSON objects: those of nested ones are paths, `user.id`.

A path can be much longer than what was sent, so lengths are added up before any path is put together.
"""

from __future__ import annotations  # Arrow's classes are generic to the type checker alone

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from core.limits import (
    FIELD_NAME_BYTES_MAX,
    RECORD_FIELDS_MAX,
    RECORD_NESTING_MAX,
    REQUEST_FLATTENED_BYTES_MAX,
)
from formats.attributes import stored_name
from formats.json_scan import Fields, Flags, Positions, slices

# Deeper ones are odd: counted without the fine points of formats.attributes, the bound is held with a margin.
_DEPTH_MAX: Final = RECORD_NESTING_MAX - 2
# Of all paths of one text. Beyond, all its records are odd, and whoever reads them one by one counts them.
_PATHS_BYTES_MAX: Final = REQUEST_FLATTENED_BYTES_MAX // 2


class Names(NamedTuple):
    """The number of each field's name, and the names: first those of the log's own columns.

    `verbatim` tells that those of the outermost fields stand in the text as they are stored.
    """

    numbers: Positions
    names: list[str]
    verbatim: bool


class Step(NamedTuple):
    """Fields one level down, and for each the field whose object holds it."""

    fields: Positions
    parents: Positions


def find_steps(fields: Fields) -> list[Step]:
    """The nested fields with those that hold them, the outermost first."""
    if fields.depth is None or not len(fields.depth):
        return []
    found = []
    for depth in range(2, min(int(fields.depth.max()), _DEPTH_MAX) + 1):
        here = np.flatnonzero(fields.depth == depth)
        above = np.where(fields.depth == depth - 1, np.arange(len(fields.depth)), -1)
        found.append(Step(here, np.maximum.accumulate(above)[here]))
    return found


def past_limits(fields: Fields, steps: list[Step]) -> Flags:
    """The records past a limit of depth, of fields or of a path's length, told before any path is made."""
    odd = np.bincount(fields.object, minlength=fields.objects) > RECORD_FIELDS_MAX
    if fields.depth_max is None:
        return odd
    odd |= fields.depth_max > _DEPTH_MAX
    lengths = fields.name_end - fields.name_start
    for step in steps:
        lengths[step.fields] += 1 + lengths[step.parents]
    odd[fields.object[lengths > FIELD_NAME_BYTES_MAX]] = True
    if lengths[~odd[fields.object]].sum() > _PATHS_BYTES_MAX:
        odd[:] = True
    return odd


def find_names(fields: Fields, steps: list[Step], odd: Flags, columns: Sequence[str]) -> Names:
    """Number the names as they are stored; nested ones are paths. Those of odd records do not matter."""
    encoded: Any = slices(fields.text, fields.name_start, fields.name_end).dictionary_encode()
    known = {name: number for number, name in enumerate(columns)}
    written = encoded.dictionary.to_pylist()
    own = [unescaped(name) for name in written]
    verbatim = written == [stored_name(name) for name in own]
    outermost = np.array([known.setdefault(stored_name(name), len(known)) for name in own], np.int64)
    codes = encoded.indices.to_numpy()
    if not len(codes):
        return Names(outermost[codes], list(known), verbatim)
    numbers = outermost[codes]
    paths = list(known)
    for step in steps:
        wanted = ~odd[fields.object[step.fields]]
        here, parents = step.fields[wanted], numbers[step.parents[wanted]]
        pairs, places = np.unique(parents * len(own) + codes[here], return_inverse=True)
        below = [f"{paths[pair // len(own)]}.{own[pair % len(own)]}" for pair in pairs.tolist()]
        numbers[here] = np.array([known.setdefault(path, len(known)) for path in below], np.int64)[places]
        paths = list(known)
    return Names(numbers, paths, verbatim)


def unescaped(text: str) -> str:
    """What stands between the quotes of a JSON string, its escapes undone."""
    decoded: str = orjson.loads(f'"{text}"') if "\\" in text else text
    return decoded

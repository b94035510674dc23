"""The fast way from many JSON records to Arrow columns, by the rules of formats.json_record.

What those rules may refuse or treat in their own way (a field twice, no timestamp, an unknown level…) is not
decided here: such records are *odd*, and the exact way reads them.
"""

from __future__ import annotations  # Arrow's classes are generic to the type checker alone

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import RejectedRecord
from core.levels import DEFAULT_LEVEL
from core.limits import FIELD_NAME_BYTES_MAX
from core.log_batch import NANOSECONDS, Received
from formats.columns import log_rows
from formats.json_fields import field_columns
from formats.json_names import Names, find_names, find_steps, past_limits, unescaped
from formats.json_record import read_level
from formats.json_scan import Fields, Flags, Positions, find_fields, replaced, slices
from formats.json_shapes import shape_column
from formats.timestamp_column import NOT_A_TIME_NS, parse_timestamps

_COLUMNS: Final = ("timestamp", "level", "service", "message")
_TIMESTAMP, _LEVEL, _SERVICE, _MESSAGE = range(len(_COLUMNS))
_QUOTE, _NULL = ord('"'), ord("n")


# By what the values of the log's own columns may begin with: strings, numbers, null.
_ALLOWED: Final = tuple(
    (column, np.isin(np.arange(256), list(first)))
    for column, first in (
        (_TIMESTAMP, b'"-0123456789'),
        (_LEVEL, b'"-0123456789n'),
        (_SERVICE, b'"n'),
        (_MESSAGE, b'"'),
    )
)
# So many names leave room in 64 bits for the sum of any number of fields that a body can hold.
_BITS_MAX: Final = 40


def read_records(
    text: bytes, count: int, joint: bytes, received: Received
) -> tuple[pa.RecordBatch, Positions]:
    """The logs of that many JSON objects, joined by a comma or a line break, and the odd ones' places."""
    fields = find_fields(text, count, joint)
    steps = find_steps(fields)
    odd = past_limits(fields, steps)
    names = find_names(fields, steps, odd, _COLUMNS)
    odd |= _odd(fields, names)
    if odd.any():
        fields, names = _without(odd, fields, names)
    logs, doubtful = _logs(fields, names, received)
    if doubtful.any():
        logs = logs.filter(pa.array(~doubtful))
        odd[np.flatnonzero(~odd)[doubtful]] = True
    return logs, np.flatnonzero(odd)


def _odd(fields: Fields, names: Names) -> Flags:
    """The records that the exact way must read, for what they say."""
    odd = np.zeros(fields.objects, np.bool_)
    odd[_with_a_name_twice(fields.object, names)] = True
    long = [n for n, name in enumerate(names.names) if len(name) * 4 > FIELD_NAME_BYTES_MAX]
    if long:
        odd[fields.object[np.isin(names.numbers, long)]] = True
    for column, allowed in _ALLOWED:
        here = np.flatnonzero(names.numbers == column)
        first = fields.signs[fields.start[here]]
        owners = fields.object[here]
        odd[owners[~allowed[first]]] = True
        if column in (_TIMESTAMP, _MESSAGE):
            missing = np.ones(fields.objects, np.bool_)
            missing[owners] = False
            odd |= missing
    return odd


def _with_a_name_twice(owners: Positions, names: Names) -> Positions:
    if len(names.names) > _BITS_MAX:
        pairs = np.sort(owners * len(names.names) + names.numbers)
        repeated: Positions = pairs[1:][pairs[1:] == pairs[:-1]] // len(names.names)
        return repeated
    # The sum of different powers of two is what their bits make together; with one twice it is more.
    firsts = np.flatnonzero(np.diff(owners, prepend=-1))
    if not len(firsts):
        return firsts
    bits = np.left_shift(1, names.numbers)
    twice = np.add.reduceat(bits, firsts) != np.bitwise_or.reduceat(bits, firsts)
    found: Positions = owners[firsts[twice]]
    return found


def _without(odd: Flags, fields: Fields, names: Names) -> tuple[Fields, Names]:
    """The same without the odd records."""
    keep = ~odd[fields.object]
    rest = fields._replace(
        objects=int(np.count_nonzero(~odd)),
        object=(np.cumsum(~odd) - 1)[fields.object[keep]],
        depth=None if fields.depth is None else fields.depth[keep],
        name_start=fields.name_start[keep],
        name_end=fields.name_end[keep],
        start=fields.start[keep],
        end=fields.end[keep],
    )
    return rest, names._replace(numbers=names.numbers[keep])


def _logs(fields: Fields, names: Names, received: Received) -> tuple[pa.RecordBatch, Flags]:
    """The rows of records none of which is odd, and those rows whose time or level is doubtful."""
    numbers = names.numbers
    times = parse_timestamps(_texts(fields, np.flatnonzero(numbers == _TIMESTAMP)))
    doubtful = times == NOT_A_TIME_NS
    levels, unknown = _levels(fields, np.flatnonzero(numbers == _LEVEL))
    doubtful[unknown] = True
    services = _present(fields, np.flatnonzero(numbers == _SERVICE))
    messages = np.flatnonzero(numbers == _MESSAGE)
    leaves = numbers >= len(_COLUMNS)
    if fields.depth is not None:
        leaves &= fields.end > fields.start
    return (
        log_rows(
            pa.array(times, NANOSECONDS),
            levels,
            _spread(_decoded(fields, _texts(fields, services)), fields.object[services], fields.objects, ""),
            _decoded(fields, _texts(fields, messages)),
            *field_columns(fields, names, np.flatnonzero(leaves)),
            shape_column(fields, numbers, len(_COLUMNS)),
            received,
        ),
        doubtful,
    )


def _present(fields: Fields, places: Positions) -> Positions:
    """Those of some fields that are not null."""
    null = fields.signs[fields.start[places]] == _NULL
    return places[~null] if null.any() else places


def _texts(fields: Fields, places: Positions) -> Any:
    """What some fields say: of a string what is between its quotes, escapes and all."""
    start, end = fields.start[places], fields.end[places]
    quoted = fields.signs[start] == _QUOTE
    return slices(fields.text, start + quoted, end - quoted)


def _decoded(fields: Fields, texts: Any) -> Any:
    """Texts of strings with their escapes undone."""
    if b"\\" not in fields.text:
        return texts
    escaped = pc.match_substring(texts, "\\")
    return replaced(texts, escaped, [unescaped(text) for text in texts.filter(escaped).to_pylist()])


def _levels(fields: Fields, places: Positions) -> tuple[Any, Positions]:
    """The column of levels, and the rows that have an unknown one."""
    places = _present(fields, places)
    encoded: Any = slices(fields.text, fields.start[places], fields.end[places]).dictionary_encode()
    known = [_level(raw) for raw in encoded.dictionary.to_pylist()]
    owners = fields.object[places]
    unknown = np.array([level is None for level in known], np.bool_)[encoded.indices.to_numpy()]
    levels: Any = pa.array([level or DEFAULT_LEVEL for level in known], pa.string())
    return _spread(levels.take(encoded.indices), owners, fields.objects, DEFAULT_LEVEL), owners[unknown]


def _level(raw: str) -> str | None:
    try:
        return read_level(raw)
    except RejectedRecord:
        return None


def _spread(values: Any, owners: Positions, rows: int, default: str) -> Any:
    """A column of values of some rows, each row that has none filled up."""
    if len(values) == rows:
        return values
    sources = np.full(rows, -1)
    sources[owners] = np.arange(len(values))
    return pc.fill_null(values.take(pa.array(sources, mask=sources < 0)), default)

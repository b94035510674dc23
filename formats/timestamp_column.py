"""Whole columns of timestamps: Arrow reads those of one usual shape, formats.timestamps all others."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.errors import RejectedRecord
from core.limits import TIMESTAMP_NS_MAX, TIMESTAMP_NS_MIN
from formats.timestamps import parse_timestamp

NOT_A_TIME_NS: Final = -1  # below TIMESTAMP_NS_MIN: no timestamp

# What Arrow reads as one of these it reads as parse_timestamp does: it only refuses more.
_TYPES: Final = (pa.timestamp("ns", "UTC"), pa.timestamp("ns"))


def parse_timestamps(texts: Any) -> NDArray[np.int64]:
    """Nanoseconds since 1970 of each text, as parse_timestamp reads it; NOT_A_TIME_NS where it raises."""
    for kind in _TYPES:
        try:
            times: NDArray[np.int64] = texts.cast(kind).cast(pa.int64()).to_numpy()
        except pa.ArrowInvalid:
            continue
        in_range = (times >= TIMESTAMP_NS_MIN) & (times < TIMESTAMP_NS_MAX)
        return times if in_range.all() else np.where(in_range, times, NOT_A_TIME_NS)
    each: list[str] = texts.to_pylist()
    known = {text: _parse(text) for text in set(each)}
    return np.fromiter((known[text] for text in each), np.int64, len(each))


def _parse(text: str) -> int:
    try:
        return parse_timestamp(text)
    except RejectedRecord:
        return NOT_A_TIME_NS

"""How large messages may become once their nested fields are flattened, told before any of them is read.

A nested field is stored under its whole path, and so is a parameter of syslog's structured data: 500 bytes of
names around a thousand small fields make half a megabyte of a message of 7 KB. What is told here are upper
bounds, as cheap as may be: most messages are too short to become large, whatever they say.
"""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np

from core.limits import FIELD_NAME_BYTES_MAX, RECORD_FIELDS_MAX
from formats.json_record import is_utf8

_FIELD_BYTES_MIN: Final = 5  # `"":0,` and ` a=""`
_STRAY_BYTES: Final = 4  # of a byte that is not UTF-8, as syslog shows it: `\x81`
_BRACKET: Final = ord("[")
_PATHS_BYTES_MAX: Final = RECORD_FIELDS_MAX * FIELD_NAME_BYTES_MAX


def how_many_fit(messages: Sequence[bytes], bytes_max: int) -> int:
    """How many of the first messages have no more than `bytes_max` once flattened, together; at least one."""
    lengths = np.fromiter(map(len, messages), np.int64, len(messages))
    # Paths take most when half of the message are names, which the fields in its other half repeat.
    paths = lengths**2 // (4 * _FIELD_BYTES_MIN)
    growth = _growth(messages)
    bounds = growth * lengths + np.minimum(growth * paths, _PATHS_BYTES_MAX)
    excess = int(bounds.sum()) - bytes_max
    if excess <= 0:
        return len(messages)
    # A look into the longest ones is mostly enough: few are as bad as they could be.
    told = bounds.tolist()
    for place in np.argsort(-bounds).tolist():
        bound = _bound(messages[place], growth)
        if bound < told[place]:
            excess -= told[place] - bound
            told[place] = bound
            if excess <= 0:
                return len(messages)
    return max(bisect_right(list(accumulate(told)), bytes_max), 1)


def flattened_bytes_max(message: bytes) -> int:
    """A bound of the bytes of a message and of the paths of its fields."""
    return _bound(message, _growth([message]))


def _bound(message: bytes, growth: int) -> int:
    # Between the first and the last brace stand all names around a field, and JSON, which is UTF-8, has a
    # comma between two fields. The names of structured data have what its parameters leave of the message.
    first, last = message.find(b"{"), message.rfind(b"{")
    paths = _paths(message.count(b",") + 1, last - first) if first < last else 0
    if _BRACKET in message and (parameters := message.count(b'="')):
        names_bytes = len(message) - _FIELD_BYTES_MIN * parameters
        paths = max(paths, _paths(parameters, growth * names_bytes))
    return growth * len(message) + paths


def _growth(messages: Sequence[bytes]) -> int:
    if all(map(bytes.isascii, messages)) or is_utf8(b"\n".join(messages)):
        return 1
    return _STRAY_BYTES


def _paths(fields: int, names_bytes: int) -> int:
    # Beyond these limits a record is not taken, nor is structured data.
    return min(fields, RECORD_FIELDS_MAX) * min(names_bytes, FIELD_NAME_BYTES_MAX)

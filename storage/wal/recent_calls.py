"""Which calls were stored lately, so that a call repeated after a lost answer is not stored twice."""

from collections import OrderedDict
from typing import Final

CALLS_MAX: Final = (
    32_768  # a call costs its sender a millisecond or more: half a minute of the fastest sender
)
CALL_ID_BYTES: Final = 16
RETRY_WINDOW_S: Final = 60.0  # senders give up long before


class RecentCalls:
    """Call id → the parts of it that are stored, the newest CALLS_MAX calls."""

    def __init__(self, calls_max: int = CALLS_MAX) -> None:
        self._calls_max = calls_max
        self._stored: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._stored)

    def add(self, call_id: bytes, part: int) -> None:
        """Note one stored part."""
        self._stored[call_id] = self._stored.get(call_id, 0) | 1 << part
        self._stored.move_to_end(call_id)
        while len(self._stored) > self._calls_max:
            self._stored.popitem(last=False)

    def missing(self, call_id: bytes, parts: int) -> list[int]:
        """The parts of a call that are still to be stored: none for a repeated call.

        A crash can leave a part of a call on disk, never acknowledged; the repeated call brings the rest.
        """
        stored = self._stored.get(call_id, 0)
        return [part for part in range(parts) if not stored >> part & 1]

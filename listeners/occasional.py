"""The log of what anybody on the network can cause as often as they like: a line now and then says it."""

import logging
from typing import Final

from core.clock import Clock

PAUSE_S: Final = 10.0


class OccasionalLog:
    """Writes at most one line per kind in PAUSE_S; the metrics count them all."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log, self._clock = log, clock
        self._silent_until_s: dict[str, float] = {}

    def info(self, kind: str, text: str, *arguments: object) -> None:
        """As Logger.info; `kind` is of a small fixed set."""
        now_s = self._clock.monotonic_s()
        if now_s >= self._silent_until_s.get(kind, now_s):
            self._silent_until_s[kind] = now_s + PAUSE_S
            self._log.info(text, *arguments)

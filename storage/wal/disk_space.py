"""Free bytes on a file system, asked for at most once a second."""

import os
from pathlib import Path
from typing import Final

from core.clock import Clock

CACHED_S: Final = 1.0


class DiskSpace:
    """What statvfs says of the directory's file system, for an ordinary user."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._asked_s, self._free = float("-inf"), 0

    def free_bytes(self) -> int:
        """Free bytes, up to CACHED_S old."""
        now_s = self._clock.monotonic_s()
        if now_s - self._asked_s >= CACHED_S:
            status = os.statvfs(self._path)
            self._asked_s, self._free = now_s, status.f_bavail * status.f_frsize
        return self._free

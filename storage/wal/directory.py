"""The directory of one partition's WAL: private, locked by one process, fsynced when names change."""

import fcntl
import logging
import os
import re
import time
from pathlib import Path
from typing import Final

from core.errors import WalError

LOCK_WAIT_S: Final = 10.0  # a killed predecessor lets go at once, one that is stopping soon
DAMAGED: Final = "damaged"
LOCK: Final = "lock"
IDENTITY: Final = "identity"
_SEGMENT: Final = re.compile(r"([0-9a-f]{16})\.wal")

log = logging.getLogger(__name__)


class WalDirectory:
    """`<data_dir>/wal/partition-NNN`, made if missing; raises WalError when it cannot be used."""

    def __init__(self, data_dir: Path, partition: int, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self.path = data_dir / "wal" / f"partition-{partition:03d}"
        try:
            self._make(self.path.parent)
            self._make(self.path)
            self._fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
            self._lock_fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise WalError(f"cannot use the WAL directory {self.path}: {error.strerror}") from None
        self._open = [self._fd, self._lock_fd]
        self._lock(lock_wait_s)

    def segment_path(self, segment_id: int) -> Path:
        """The file of a segment."""
        return self.path / f"{segment_id:016x}.wal"

    def segments(self) -> list[tuple[int, Path]]:
        """Ids and files of all segments, oldest first; other files are named in a warning and left alone."""
        found = []
        try:
            names = sorted(os.listdir(self.path))
        except OSError as error:
            raise WalError(f"cannot list the WAL directory {self.path}: {error.strerror}") from None
        for name in names:
            match = _SEGMENT.fullmatch(name)
            if match and (self.path / name).is_file():
                found.append((int(match[1], 16), self.path / name))
            elif name not in (DAMAGED, LOCK, IDENTITY, f"{IDENTITY}.new"):
                log.warning("ignoring %s: not a WAL segment", self.path / name)
        return found

    def create(self, segment_id: int) -> int:
        """Begin a segment's file and return its descriptor; raises OSError."""
        path = self.segment_path(segment_id)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            os.fsync(self._fd)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        return fd

    def remove(self, path: Path) -> None:
        """Delete a segment's file for good."""
        path.unlink(missing_ok=True)
        os.fsync(self._fd)

    def set_aside(self, segment_id: int, start: int, content: bytes | memoryview) -> bool:
        """Keep a copy of damaged bytes in `damaged/`; False when this range is already there."""
        folder = self.path / DAMAGED
        target = folder / f"{segment_id:016x}-{start}.bin"
        if target.exists():
            return False
        partial = target.with_suffix(".partial")
        self._make(folder)
        with open(partial, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
        fsync_directory(folder)
        return True

    def close(self) -> None:
        """Let another process take the directory."""
        while self._open:
            os.close(self._open.pop())

    def _make(self, path: Path) -> None:
        missing = [parent for parent in (path, *path.parents) if not parent.is_dir()]
        for parent in reversed(missing):
            parent.mkdir(mode=0o700, exist_ok=True)
            fsync_directory(parent.parent)
        path.chmod(0o700)

    def _lock(self, wait_s: float) -> None:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError:
                if time.monotonic() > deadline:
                    self.close()
                    raise WalError(f"cannot lock {self.path}: another process writes to it") from None
            time.sleep(0.05)


def fsync_directory(path: Path) -> None:
    """Make the names in a directory survive a crash."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

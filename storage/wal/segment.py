"""The segment that is being written: appended to by one thread, each append one write and one fdatasync."""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from storage.wal.directory import WalDirectory
from storage.wal.record import HEADER_BYTES, Header, pack_header, payload_crc

Sync = Callable[[int], None]

BUFFERS_PER_WRITE: Final = 1024  # IOV_MAX on Linux


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A payload with its place in its call, before it has a place in a segment."""

    call_id: bytes
    part: int
    parts: int
    logs: int
    dead_letters: int
    payload: bytes | memoryview


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """A segment that will not grow any more: the content of one insert, `size` bytes of its file."""

    segment_id: int
    path: Path
    size: int
    logs: int
    dead_letters: int
    keep_until_s: float = 0.0  # monotonic: not deleted before, although it is inserted

    @property
    def rows(self) -> int:
        """Logs and dead letters together."""
        return self.logs + self.dead_letters


class SegmentBroken(OSError):
    """The file is in a state that cannot be known: nothing may be appended to it any more."""


class ActiveSegment:
    """A new file of records; raises OSError when it cannot be created."""

    def __init__(self, directory: WalDirectory, segment_id: int, began_s: float, sync: Sync) -> None:
        self.segment_id, self.began_s = segment_id, began_s
        self.size = self.logs = self.dead_letters = 0
        self._path = directory.segment_path(segment_id)
        self._sync = sync
        self._fd = directory.create(segment_id)

    @property
    def rows(self) -> int:
        """Logs and dead letters together."""
        return self.logs + self.dead_letters

    def append(self, records: list[NewRecord], base_seq: int) -> None:
        """Write the records and fsync them.

        Raises OSError when there is no room: the segment is as it was. Raises SegmentBroken when
        what the disk holds is not known: the segment must be abandoned.
        """
        buffers: list[bytes | memoryview] = []
        offset, seq = self.size, base_seq
        for record in records:
            header = Header(
                record.part,
                record.parts,
                len(record.payload),
                record.logs,
                record.dead_letters,
                seq,
                record.call_id,
                payload_crc(record.payload),
            )
            buffers += (pack_header(header, self.segment_id, offset), record.payload)
            offset += HEADER_BYTES + len(record.payload)
            seq += record.logs
        try:
            for start in range(0, len(buffers), BUFFERS_PER_WRITE):
                _write_all(self._fd, buffers[start : start + BUFFERS_PER_WRITE])
        except OSError:
            self._take_back()
            raise
        try:
            self._sync(self._fd)
        except OSError as error:
            # The kernel may have dropped the pages and would report success the next time.
            raise SegmentBroken(error.errno, f"cannot fsync {self._path}: {error.strerror}") from error
        self.size = offset
        self.logs += seq - base_seq
        self.dead_letters += sum(record.dead_letters for record in records)

    def seal(self) -> SealedSegment:
        """Close the file; what was appended is the content of one insert."""
        with contextlib.suppress(OSError):  # all that counts has been fsynced
            os.close(self._fd)
        return SealedSegment(self.segment_id, self._path, self.size, self.logs, self.dead_letters)

    def abandon(self) -> SealedSegment:
        """Close a broken file, cut back to what is known to be on disk where that can still be done."""
        # If it cannot: `size` bounds what is read; a reader after a crash goes by the records' checksums.
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, self.size)
        return self.seal()

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError as error:
            raise SegmentBroken(error.errno, f"cannot truncate {self._path}: {error.strerror}") from error


def _write_all(fd: int, buffers: list[bytes | memoryview]) -> None:
    expected = sum(map(len, buffers))
    written = os.writev(fd, buffers)
    if written == expected:
        return
    # A short write is rare (a disk that fills up, a size limit): the second try gives the reason.
    rest = memoryview(b"".join(buffers))[written:]
    while rest:
        rest = rest[os.write(fd, rest) :]

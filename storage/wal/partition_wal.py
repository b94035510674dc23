"""The write-ahead log of one partition: an active segment, and sealed ones that wait for their insert.

A segment is an insert: its content and its deduplication token (from its name) never change once it is
sealed. A crash seals whatever is there, so the cut points need no record of their own
(docs/decisions/0001-a-segment-is-an-insert.md).

`commit` and `seal` are for one thread, `read` and `remove` for another.
"""

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from core.clock import Clock
from core.errors import Overloaded, WalError
from storage.wal.directory import WalDirectory
from storage.wal.identity import Identity
from storage.wal.recent_calls import RecentCalls
from storage.wal.recovery import recover, set_damage_aside
from storage.wal.scan import Record, scan
from storage.wal.segment import ActiveSegment, NewRecord, SealedSegment, SegmentBroken, Sync

PARTITION_SHIFT: Final = 54  # a seq is partition << 54 | counter
# A segment holds the ids of its calls. Should this process die before a caller has read its answer, the
# caller repeats the call, and the next process must know it: the file is kept so long after it was sealed.
ANSWER_S: Final = 2.0
NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

log = logging.getLogger(__name__)


class PartitionWal:
    """Recovers what is on disk, then takes records; raises WalError when the directory cannot be used."""

    def __init__(self, data_dir: Path, partition: int, clock: Clock, sync: Sync = os.fdatasync) -> None:
        assert 0 <= partition < 1 << 10
        self.partition = partition
        self._clock, self._sync = clock, sync
        self._lock = threading.Lock()
        self.directory = WalDirectory(data_dir, partition)
        self.calls = RecentCalls()
        self._identity = _identity(self.directory)
        found = recover(self.directory, self.calls, clock.now_ns() / 1e9, clock.monotonic_s())
        self.recovered = found.segments
        self.damaged_bytes = found.damaged_bytes
        self.active: ActiveSegment | None = None
        self.broken: list[SealedSegment] = []  # abandoned, to be returned by the next `seal`
        self._sealed_bytes = sum(segment.size for segment in found.segments)
        first = partition << PARTITION_SHIFT
        # The clock alone would give numbers twice once it is set back.
        self._next_seq = max(found.next_seq, self._identity.reserved_until, first + clock.now_ns() // 1000)

    @property
    def size(self) -> int:
        """Bytes of all segments on disk."""
        active = self.active
        return self._sealed_bytes + (active.size if active else 0)

    def token(self, segment: SealedSegment) -> str:
        """The deduplication token of a segment's insert."""
        return f"{self._identity.name}-{segment.segment_id:016x}"

    def commit(self, records: Sequence[NewRecord]) -> None:
        """Write and fsync the records, all or none.

        Raises Overloaded when the disk has no room, WalError when it fails; the next commit may succeed.
        """
        logs = sum(record.logs for record in records)
        try:
            self._identity.reserve(self._next_seq + logs + 1)
            segment = self.active or self._begin()
            segment.append(list(records), self._next_seq)
        except SegmentBroken as error:
            self._next_seq += logs  # they may be on disk, and be met there after a crash
            self._abandon()
            raise _refusal(error) from error
        except OSError as error:
            raise _refusal(error) from error
        self._next_seq += logs
        for record in records:
            self.calls.add(record.call_id, record.part)

    def seal(self) -> list[SealedSegment]:
        """End the active segment; returns all that are sealed and not yet returned, oldest first."""
        sealed, self.broken = self.broken, []
        if self.active is not None:
            segment = replace(self.active.seal(), keep_until_s=self._clock.monotonic_s() + ANSWER_S)
            self.active = None
            if segment.rows:
                sealed.append(segment)
                self._count(segment.size)
            else:
                self._remove_empty(segment)
        return sealed

    def read(self, segment: SealedSegment) -> list[Record]:
        """A sealed segment's records, checked again; what got damaged since is set aside."""
        with open(segment.path, "rb") as file:
            content = file.read(segment.size)
        result = scan(content, segment.segment_id)
        self.damaged_bytes += set_damage_aside(self.directory, segment.segment_id, content, result)
        return result.records

    def set_aside(self, segment: SealedSegment, record: Record) -> None:
        """Keep a record that this release cannot decode."""
        if self.directory.set_aside(segment.segment_id, record.offset, record.payload):
            self.damaged_bytes += len(record.payload)

    def remove(self, segment: SealedSegment) -> None:
        """Delete a segment whose insert is durable."""
        self.directory.remove(segment.path)
        self._count(-segment.size)

    def close(self) -> None:
        """Let another process take the directory; everything stays on disk."""
        if self.active is not None:
            self.active.seal()
            self.active = None
        self.directory.close()

    def _begin(self) -> ActiveSegment:
        # The id is a number of its own: a segment without logs must not share it with the next one.
        segment_id, self._next_seq = self._next_seq, self._next_seq + 1
        self.active = ActiveSegment(self.directory, segment_id, self._clock.monotonic_s(), self._sync)
        return self.active

    def _abandon(self) -> None:
        assert self.active is not None
        segment = replace(self.active.abandon(), keep_until_s=self._clock.monotonic_s() + ANSWER_S)
        self.active = None
        log.error("WAL segment %s is broken, going on in a new one", segment.path)
        if segment.rows:
            self.broken.append(segment)
            self._count(segment.size)
        else:
            self._remove_empty(segment)

    def _remove_empty(self, segment: SealedSegment) -> None:
        with contextlib.suppress(OSError):  # the next start removes it
            self.directory.remove(segment.path)

    def _count(self, change: int) -> None:
        with self._lock:
            self._sealed_bytes += change


def _identity(directory: WalDirectory) -> Identity:
    try:
        return Identity(directory)
    except OSError as error:
        directory.close()
        raise WalError(f"cannot read the identity of {directory.path}: {error.strerror}") from None


def _refusal(error: OSError) -> Overloaded | WalError:
    reason = error.strerror or str(error)
    if error.errno in NO_ROOM:
        return Overloaded(f"cannot write the WAL: {reason}", retry_after_s=5, bound="disk_low")
    return WalError(f"cannot write the WAL: {reason}")

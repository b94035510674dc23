"""What a crash left behind: every segment on disk, checked and made ready to be inserted.

A segment met here is never appended to. It is sealed exactly as it is, so the next insert is cut where the
crashed process had cut it, or would have, and carries the same deduplication token.
"""

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import WalError
from storage.wal.directory import WalDirectory
from storage.wal.recent_calls import RETRY_WINDOW_S, RecentCalls
from storage.wal.scan import Scan, scan
from storage.wal.segment import SealedSegment

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Recovery:
    """The surviving segments, oldest first, and what was learned from reading them."""

    segments: list[SealedSegment] = field(default_factory=list)
    next_seq: int = 0  # past every seq that is in use
    damaged_bytes: int = 0


def recover(directory: WalDirectory, calls: RecentCalls, wall_s: float, monotonic_s: float) -> Recovery:
    """Read all segments; fills `calls`. Raises WalError when a file cannot be read at all."""
    found = Recovery()
    for segment_id, path in directory.segments():
        content = _read(path)
        result = scan(content, segment_id)
        found.damaged_bytes += set_damage_aside(directory, segment_id, content, result)
        found.next_seq = max(found.next_seq, segment_id + 1)
        if not result.records:
            if content:
                log.warning("removing %s: it holds no valid record", path)
            directory.remove(path)
            continue
        if result.end < len(content):
            log.warning(
                "truncating %s from %d to %d bytes: its last record is torn, it was never acknowledged",
                path,
                len(content),
                result.end,
            )
        keep_s = min(max(path.stat().st_mtime + RETRY_WINDOW_S - wall_s, 0.0), RETRY_WINDOW_S)
        if result.end < len(content):
            _truncate(path, result.end)
        for record in result.records:
            calls.add(record.header.call_id, record.header.part)
            found.next_seq = max(found.next_seq, record.header.base_seq + record.header.logs)
        found.segments.append(
            SealedSegment(
                segment_id,
                path,
                result.end,
                result.logs,
                result.dead_letters,
                monotonic_s + keep_s if keep_s else 0.0,
            )
        )
    return found


def set_damage_aside(directory: WalDirectory, segment_id: int, content: bytes, result: Scan) -> int:
    """Copy the damaged ranges to `damaged/`; returns the number of bytes that were not there yet."""
    fresh = 0
    for start, stop in result.damage:
        if directory.set_aside(segment_id, start, memoryview(content)[start:stop]):
            log.error(
                "WAL segment %016x is damaged in bytes %d to %d: kept in %s, all other records are used",
                segment_id,
                start,
                stop,
                directory.path / "damaged",
            )
            fresh += stop - start
    return fresh


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WalError(f"cannot read {path}: {error.strerror}") from None


def _truncate(path: Path, size: int) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(fd, size)
        os.fsync(fd)
    finally:
        os.close(fd)

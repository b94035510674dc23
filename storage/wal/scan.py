"""Reading a segment's bytes: every valid record, and what lies between them.

A record whose payload is damaged is stepped over by its length; where a header is damaged the scan goes on at
the next valid one. Bytes at the end that are the beginning of a record are torn: the crash came before
the fsync, nobody was told that they are stored.
"""

from dataclasses import dataclass

from storage.wal.record import HEADER_BYTES, MAGIC, Header, payload_crc, unpack_header


@dataclass(frozen=True, slots=True)
class Record:
    """A valid record; `payload` points into the scanned content."""

    offset: int
    header: Header
    payload: memoryview


@dataclass(frozen=True, slots=True)
class Scan:
    """A segment's valid records, its damaged byte ranges, and the offset at which a torn record begins."""

    records: list[Record]
    damage: list[tuple[int, int]]
    end: int

    @property
    def logs(self) -> int:
        """Logs in the valid records."""
        return sum(record.header.logs for record in self.records)

    @property
    def dead_letters(self) -> int:
        """Dead letters in the valid records."""
        return sum(record.header.dead_letters for record in self.records)


def scan(content: bytes, segment_id: int) -> Scan:
    """Find every record that is whole."""
    view = memoryview(content)
    records: list[Record] = []
    damage: list[tuple[int, int]] = []
    offset, size = 0, len(content)
    while offset < size:
        header = unpack_header(content, segment_id, offset)
        if header is None:
            start = _next_header(content, segment_id, offset + 1)
            if start is None and _is_torn_header(content, offset):
                return Scan(records, damage, offset)
            _add(damage, offset, start or size)
            offset = start or size
            continue
        stop = offset + HEADER_BYTES + header.length
        if stop > size:
            start = _next_header(content, segment_id, offset + HEADER_BYTES)
            if start is None:
                return Scan(records, damage, offset)
            _add(damage, offset, start)
            offset = start
            continue
        payload = view[offset + HEADER_BYTES : stop]
        if payload_crc(payload) == header.payload_crc:
            records.append(Record(offset, header, payload))
        else:
            _add(damage, offset, stop)
        offset = stop
    return Scan(records, damage, size)


def _next_header(content: bytes, segment_id: int, offset: int) -> int | None:
    while (offset := content.find(MAGIC, offset)) >= 0:
        if unpack_header(content, segment_id, offset) is not None:
            return offset
        offset += 1
    return None


def _is_torn_header(content: bytes, offset: int) -> bool:
    # A file system may lengthen the file before the data arrives: then the tail is zeros.
    return len(content) - offset < HEADER_BYTES or not content[offset:].strip(b"\0")


def _add(damage: list[tuple[int, int]], start: int, stop: int) -> None:
    if damage and damage[-1][1] == start:
        start = damage.pop()[0]
    damage.append((start, stop))

"""One record of a segment: a header of 56 bytes and the payload of one batch.

    magic 4 · part 2 · parts 2 · reserved 4 · payload length 4 · logs 4 · dead letters 4 · base seq 8 ·
    call id 16 · CRC-32 of the payload 4 · CRC-32 of the header 4        (little-endian)

The header's CRC begins with the segment's id and the record's offset, so a header is valid in one place
only: bytes that look like a record inside a log message, or left over from another file, are not one.
A call (`call_id`) may bring several payloads; `part` counts them from 0.
"""

import struct
from typing import Final, NamedTuple

from isal import isal_zlib

MAGIC: Final = b"LgR\x01"
PAYLOAD_BYTES_MAX: Final = 64 << 20  # a request's 10 MiB of JSON stay far below it once they are Arrow

_FIELDS: Final = struct.Struct("<4sHHIIIIQ16sI")
_CRC: Final = struct.Struct("<I")
_PLACE: Final = struct.Struct("<QQ")
HEADER_BYTES: Final = _FIELDS.size + _CRC.size


class Header(NamedTuple):
    """What a header says about its record."""

    part: int
    parts: int
    length: int
    logs: int
    dead_letters: int
    base_seq: int
    call_id: bytes
    payload_crc: int


def payload_crc(payload: bytes | memoryview) -> int:
    """The CRC-32 that the header keeps of its payload."""
    return isal_zlib.crc32(payload)


def pack_header(header: Header, segment_id: int, offset: int) -> bytes:
    """The bytes of a header at this place."""
    fields = _FIELDS.pack(
        MAGIC,
        header.part,
        header.parts,
        0,
        header.length,
        header.logs,
        header.dead_letters,
        header.base_seq,
        header.call_id,
        header.payload_crc,
    )
    return fields + _CRC.pack(_header_crc(fields, segment_id, offset))


def unpack_header(content: bytes, segment_id: int, offset: int) -> Header | None:
    """The header at this place, or None where there is no valid one."""
    if not content.startswith(MAGIC, offset) or offset + HEADER_BYTES > len(content):
        return None
    end = offset + _FIELDS.size
    if _CRC.unpack_from(content, end)[0] != _header_crc(content[offset:end], segment_id, offset):
        return None
    _, part, parts, _, length, logs, dead_letters, base_seq, call_id, crc = _FIELDS.unpack_from(
        content, offset
    )
    return Header(part, parts, length, logs, dead_letters, base_seq, call_id, crc)


def _header_crc(fields: bytes, segment_id: int, offset: int) -> int:
    return isal_zlib.crc32(fields, isal_zlib.crc32(_PLACE.pack(segment_id, offset)))

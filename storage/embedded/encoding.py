"""Unpacking request bodies: Content-Encoding gzip, deflate, zstd, lz4 and br, up to a limit."""

import zlib
from collections.abc import Mapping
from typing import Final, Literal

import pyarrow as pa

_CODECS: Final[Mapping[str, Literal["gzip", "zstd", "lz4", "brotli"]]] = {
    "gzip": "gzip",
    "x-gzip": "gzip",
    "zstd": "zstd",
    "lz4": "lz4",
    "br": "brotli",
}


class UnknownEncoding(ValueError):
    """The Content-Encoding is none of those taken."""


class BodyTooLarge(ValueError):
    """The unpacked body is larger than allowed."""


def unpack(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """The body without its Content-Encoding.

    Raises UnknownEncoding, BodyTooLarge, or ValueError when it is damaged.
    """
    encoding = encoding.strip().lower()
    if not body or encoding in ("", "identity"):
        return body
    if encoding == "deflate":
        return _inflate(body, bytes_max)
    if encoding not in _CODECS:
        raise UnknownEncoding(f"unknown content encoding {encoding}")
    try:
        with pa.CompressedInputStream(pa.BufferReader(body), _CODECS[encoding]) as stream:
            unpacked: bytes = stream.read(bytes_max + 1)
    except (OSError, pa.ArrowException) as error:
        raise ValueError(f"cannot unpack the body: {error}") from error
    if len(unpacked) > bytes_max:
        raise BodyTooLarge(f"the body is larger than {bytes_max} bytes")
    return unpacked


def _inflate(body: bytes, bytes_max: int) -> bytes:
    try:
        stream = zlib.decompressobj()
        unpacked = stream.decompress(body, bytes_max + 1)
    except zlib.error as error:
        raise ValueError(f"cannot unpack the body: {error}") from error
    if len(unpacked) > bytes_max:
        raise BodyTooLarge(f"the body is larger than {bytes_max} bytes")
    if not stream.eof:
        raise ValueError("cannot unpack the body: it is cut off")
    return unpacked

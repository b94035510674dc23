"""Undo a request's Content-Encoding, in bounded memory however much the body would expand to."""

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa
from isal import igzip, isal_zlib

from core.errors import MalformedBody, TooLarge, UnsupportedEncoding
from core.limits import REQUEST_BODY_BYTES_MAX

GZIP_WBITS: Final = 31
ZLIB_WBITS: Final = 15
RAW_DEFLATE_WBITS: Final = -15
# The stubs of isal take its exception for an instance and leave its file reader untyped.
_CORRUPT: Final[Any] = isal_zlib.error
_OPEN: Final[Any] = igzip.open
# One byte more than is allowed, to see that it is too much.
_ENOUGH: Final = REQUEST_BODY_BYTES_MAX + 1


def decompress(body: bytes, encoding: str | None) -> bytes:
    """The body as it was before it was encoded: identity, gzip, deflate (zlib or raw) or zstd.

    Raises UnsupportedEncoding, MalformedBody when the stream is corrupt or cut off, and TooLarge as soon as
    more than REQUEST_BODY_BYTES_MAX would come out.
    """
    name = (encoding or "identity").strip().lower()
    decoder = _DECODERS.get(name)
    if decoder is None:
        raise UnsupportedEncoding(
            "cannot read this Content-Encoding: one of gzip, deflate, zstd and identity is taken"
        )
    try:
        content = decoder(body)
    except (OSError, EOFError, _CORRUPT) as error:
        raise MalformedBody(f"cannot decompress the body as {name}: {_reason(error)}") from None
    if len(content) > REQUEST_BODY_BYTES_MAX:
        raise TooLarge(f"the body has more than {REQUEST_BODY_BYTES_MAX} bytes")
    return content


def _identity(body: bytes) -> bytes:
    return body


def _gunzip(body: bytes) -> bytes:
    stream = isal_zlib.decompressobj(GZIP_WBITS)
    content: bytes = stream.decompress(body, _ENOUGH)
    if stream.eof and not stream.unused_data:
        return content
    if len(content) == _ENOUGH:
        return content
    # Several members, trailing zeros or a stream that is cut off: the file reader knows them all.
    with _OPEN(io.BytesIO(body)) as members:
        return bytes(members.read(_ENOUGH))


def _inflate(body: bytes) -> bytes:
    """RFC 9110 section 8.4.1.2 means zlib's format; some clients send the raw stream without it."""
    zlib_header = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2]) % 31 == 0
    if not zlib_header:
        return _inflated(body, RAW_DEFLATE_WBITS)
    try:
        return _inflated(body, ZLIB_WBITS)
    except _CORRUPT:
        return _inflated(body, RAW_DEFLATE_WBITS)


def _inflated(body: bytes, wbits: int) -> bytes:
    stream = isal_zlib.decompressobj(wbits)
    content: bytes = stream.decompress(body, _ENOUGH)
    if not stream.eof and len(content) < _ENOUGH:
        raise EOFError
    if stream.unused_data:
        raise OSError("bytes after the end of the stream")
    return content


def _unzstd(body: bytes) -> bytes:
    # Arrow's reader takes several frames and, unlike zstandard's, tells a stream that is cut off.
    with pa.CompressedInputStream(pa.BufferReader(body), "zstd") as frames:
        content: bytes = frames.read(_ENOUGH)
    return content


def _reason(error: Exception) -> str:
    return "it is cut off" if isinstance(error, EOFError) else str(error) or "it is corrupt"


_DECODERS: Final[Mapping[str, Callable[[bytes], bytes]]] = MappingProxyType(
    {"identity": _identity, "gzip": _gunzip, "x-gzip": _gunzip, "deflate": _inflate, "zstd": _unzstd}
)

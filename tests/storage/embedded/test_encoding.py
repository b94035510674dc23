"""Request bodies are unpacked up to a limit, whatever they claim."""

import gzip
import zlib

import pyarrow as pa
import pytest
import zstandard

from storage.embedded.encoding import BodyTooLarge, UnknownEncoding, unpack

TEXT = b"SELECT 1 -- " + bytes(range(256)) * 100
PACKED = {
    "": TEXT,
    "identity": TEXT,
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "GZIP ": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "zstd": zstandard.compress(TEXT),
    "br": pa.compress(TEXT, "brotli", asbytes=True),
}


@pytest.mark.parametrize("encoding", PACKED)
def test_a_body_is_unpacked(encoding: str) -> None:
    assert unpack(PACKED[encoding], encoding, len(TEXT)) == TEXT


def test_lz4_frames_are_unpacked() -> None:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "lz4") as stream:
        stream.write(TEXT)
    assert unpack(sink.getvalue().to_pybytes(), "lz4", len(TEXT)) == TEXT


@pytest.mark.parametrize("encoding", [name for name in PACKED if name not in ("", "identity")])
def test_one_byte_too_many_is_refused(encoding: str) -> None:
    with pytest.raises(BodyTooLarge):
        unpack(PACKED[encoding], encoding, len(TEXT) - 1)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_stopped_at_the_limit(encoding: str) -> None:
    zeros = bytes(64 << 20)
    bomb = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstandard.compress}[encoding](zeros)
    before = pa.total_allocated_bytes()
    with pytest.raises(BodyTooLarge):
        unpack(bomb, encoding, 1 << 20)
    assert pa.total_allocated_bytes() - before < 4 << 20


@pytest.mark.parametrize("encoding", [name for name in PACKED if name not in ("", "identity")])
@pytest.mark.parametrize("cut", [10, -1], ids=["its beginning", "all but a byte"])
def test_a_cut_body_is_refused(encoding: str, cut: int) -> None:
    with pytest.raises(ValueError, match="cannot unpack"):
        unpack(PACKED[encoding][:cut], encoding, 1 << 20)


def test_damage_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot unpack"):
        unpack(b"not gzip at all", "gzip", 1 << 20)


def test_an_unknown_encoding_is_named() -> None:
    with pytest.raises(UnknownEncoding, match="snappy"):
        unpack(b"x", "snappy", 1)


def test_no_body_needs_no_unpacking() -> None:
    assert unpack(b"", "gzip", 1) == b""

"""A body is what it was before it was encoded, or it is refused: without ever growing past the limit."""

import gzip
import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MalformedBody, TooLarge, UnsupportedEncoding
from core.limits import REQUEST_BODY_BYTES_MAX
from formats.content_encoding import decompress

TEXT = b'[{"message": "hello"}]' * 1000


def raw_deflate(content: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(content) + stream.flush()


def unsized_zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compress(content)


Compress = Callable[[bytes], bytes]
ENCODINGS: dict[str, tuple[str, Compress]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstandard.compress),
    "zstd without its size": ("zstd", unsized_zstd),
}
EACH = pytest.mark.parametrize(("encoding", "compress"), ENCODINGS.values(), ids=ENCODINGS.keys())


@EACH
@pytest.mark.parametrize("content", [TEXT, b"", b"x"], ids=["text", "nothing", "one byte"])
def test_what_was_compressed_comes_back(encoding: str, compress: Compress, content: bytes) -> None:
    assert decompress(compress(content), encoding) == content


@pytest.mark.parametrize("encoding", [None, "", "identity", "Identity "])
def test_without_an_encoding_the_body_is_itself(encoding: str | None) -> None:
    assert decompress(TEXT, encoding) is TEXT


def test_the_name_is_read_in_any_case() -> None:
    assert decompress(gzip.compress(TEXT), " GZIP ") == TEXT


@pytest.mark.parametrize("encoding", ["br", "compress", "gzip, deflate", "utf-8", "*"])
def test_any_other_encoding_is_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding):
        decompress(TEXT, encoding)


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress)], ids=["gzip", "zstd"]
)
def test_several_members_are_one_body(encoding: str, compress: Compress) -> None:
    assert decompress(compress(TEXT) + compress(b"") + compress(b"end"), encoding) == TEXT + b"end"


def test_zeros_after_a_gzip_member_are_padding() -> None:
    assert decompress(gzip.compress(TEXT) + bytes(100), "gzip") == TEXT


@EACH
@pytest.mark.parametrize("missing", [1, 4, 9])
def test_a_body_that_is_cut_off_is_refused(encoding: str, compress: Compress, missing: int) -> None:
    with pytest.raises(MalformedBody):
        decompress(compress(random.Random(1).randbytes(1000))[:-missing], encoding)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_second_member_that_is_cut_off_is_refused(compress: Compress) -> None:
    encoding = "gzip" if compress is gzip.compress else "zstd"
    with pytest.raises(MalformedBody):
        decompress(compress(TEXT) + compress(TEXT)[:-1], encoding)


@EACH
def test_what_follows_the_end_is_no_part_of_a_body(encoding: str, compress: Compress) -> None:
    with pytest.raises(MalformedBody):
        decompress(compress(TEXT) + b"rubbish that is no member", encoding)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_body_that_was_not_compressed_is_refused(encoding: str) -> None:
    with pytest.raises(MalformedBody):
        decompress(TEXT, encoding)


def test_a_wrong_checksum_is_refused() -> None:
    body = bytearray(gzip.compress(TEXT))
    body[-8] ^= 1
    with pytest.raises(MalformedBody):
        decompress(bytes(body), "gzip")


@EACH
def test_the_limit_itself_is_taken_and_one_byte_more_is_not(encoding: str, compress: Compress) -> None:
    assert len(decompress(compress(bytes(REQUEST_BODY_BYTES_MAX)), encoding)) == REQUEST_BODY_BYTES_MAX
    with pytest.raises(TooLarge):
        decompress(compress(bytes(REQUEST_BODY_BYTES_MAX + 1)), encoding)


@EACH
def test_a_bomb_does_not_go_off(encoding: str, compress: Compress) -> None:
    bomb = compress(bytes(4 * REQUEST_BODY_BYTES_MAX))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompress(bomb, encoding)
        assert tracemalloc.get_traced_memory()[1] < 3 * REQUEST_BODY_BYTES_MAX
    finally:
        tracemalloc.stop()


def test_a_bomb_of_many_members_does_not_go_off() -> None:
    with pytest.raises(TooLarge):
        decompress(gzip.compress(bytes(REQUEST_BODY_BYTES_MAX // 10)) * 30, "gzip")


@settings(deadline=None)
@given(st.binary(), st.sampled_from(["gzip", "deflate", "zstd"]))
def test_any_bytes_are_decompressed_or_refused(body: bytes, encoding: str) -> None:
    try:
        content = decompress(body, encoding)
    except MalformedBody:
        return
    assert len(content) <= REQUEST_BODY_BYTES_MAX

"""Blocks of one answer are joined; exceptions have the codes and statuses of ClickHouse."""

import pyarrow as pa
import pytest

from storage.embedded.answer import Joiner, can_stream, exception_code, exception_text, http_status, summary


def join(format_name: str, *blocks: bytes) -> bytes:
    joiner = Joiner(format_name)
    return b"".join(joiner.join(block) for block in blocks) + joiner.end()


@pytest.mark.parametrize(
    ("format_name", "blocks", "whole"),
    [
        ("CSV", [b"1\n", b"2\n"], b"1\n2\n"),
        ("CSVWithNames", [b"a\n1\n", b"a\n2\n"], b"a\n1\n2\n"),
        ("TSVWithNamesAndTypes", [b"a\nInt8\n1\n", b"a\nInt8\n2\n"], b"a\nInt8\n1\n2\n"),
        ("Native", [b"\x01", b"\x02"], b"\x01\x02"),
        ("CSV", [], b""),
    ],
)
def test_blocks_are_joined(format_name: str, blocks: list[bytes], whole: bytes) -> None:
    assert join(format_name, *blocks) == whole


def test_arrow_blocks_become_one_stream() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    blocks = []
    for start in range(3):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(pa.RecordBatch.from_pydict({"a": [start], "b": [str(start)]}, schema))
        blocks.append(sink.getvalue().to_pybytes())
    table = pa.ipc.open_stream(join("ArrowStream", *blocks)).read_all()
    assert table.to_pydict() == {"a": [0, 1, 2], "b": ["0", "1", "2"]}


@pytest.mark.parametrize(
    ("name", "streams"), [("Native", True), ("ArrowStream", True), ("JSON", False), ("Parquet", False)]
)
def test_only_formats_that_can_be_joined_are_streamed(name: str, streams: bool) -> None:
    assert can_stream(name) is streams


@pytest.mark.parametrize(
    ("message", "code", "status"),
    [
        ("Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)", 60, 404),
        ("boom Code: 62. DB::Exception: Syntax error: Code: 1. (SYNTAX_ERROR)", 62, 400),
        ("Code: 241. DB::Exception: memory", 241, 500),
        ("no code", 1002, 500),
    ],
)
def test_an_exception_has_a_code_and_a_status(message: str, code: int, status: int) -> None:
    assert exception_code(message) == code
    assert http_status(code) == status


def test_an_exception_begins_with_its_code() -> None:
    assert exception_text("x Code: 1. a\n") == "Code: 1. a\n"


def test_a_summary_is_numbers_as_text() -> None:
    assert '"written_rows":"5"' in summary(written_rows=5)

"""One connection's bytes become messages, whatever ends them and wherever the reads cut them."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.framing import OCTET_COUNT_MAX, Splitter

LIMIT = 100


def split(*reads: bytes, limit: int = LIMIT) -> tuple[list[bytes], Splitter]:
    splitter = Splitter(limit)
    messages = [message for read in reads for message in splitter.feed(read)]
    if not splitter.lie:
        messages += splitter.finish()
    return messages, splitter


FRAMES = {
    "LF": (b"<14>a\n<14>b\n", [b"<14>a", b"<14>b"]),
    "CRLF": (b"<14>a\r\n<14>b\r\n", [b"<14>a", b"<14>b"]),
    "NUL": (b"<14>a\0<14>b\0", [b"<14>a", b"<14>b"]),
    "NUL and LF": (b"<14>a\0\n<14>b\0\n", [b"<14>a", b"<14>b"]),
    "no terminator at the end": (b"<14>a\n<14>b", [b"<14>a", b"<14>b"]),
    "CR at the end": (b"<14>a\r", [b"<14>a"]),
    "stray CRs": (b"<14>a\n\r\r\n\r<14>b\r\r\n", [b"<14>a", b"<14>b\r"]),
    "empty lines": (b"\n\r\n\0<14>a\n\n\n<14>b\n", [b"<14>a", b"<14>b"]),
    "octet counts": (b"5 <14>a6 <14>bc", [b"<14>a", b"<14>bc"]),
    "octet count over several lines": (b"9 <14>a\nb\nc5 <14>d", [b"<14>a\nb\nc", b"<14>d"]),
    "octet count that counts the terminator": (b"6 <14>a\n5 <14>b", [b"<14>a", b"<14>b"]),
    "octet count and a newline after it": (b"5 <14>a\n5 <14>b\n", [b"<14>a", b"<14>b"]),
    "octet counts, then lines": (b"5 <14>a<14>b\n{}\nplain\n", [b"<14>a", b"<14>b", b"{}", b"plain"]),
    "lines, then octet counts": (
        b'{"a": 1}\n<14>b\n5 <14>c5 <14>d',
        [b'{"a": 1}', b"<14>b", b"<14>c", b"<14>d"],
    ),
    "lines and octet counts by turns": (
        b"<14>a\n5 <14>b\n<14>c\n5 <14>d{}\n",
        [b"<14>a", b"<14>b", b"<14>c", b"<14>d", b"{}"],
    ),
    "a plain line that begins with a number": (b"404 not found\n<14>a\n", [b"404 not found", b"<14>a"]),
    "a number, a space and no PRI": (b"5 <html>\n12 <x\n7 <1234>\n", [b"5 <html>", b"12 <x", b"7 <1234>"]),
    "a year": (b"2024-01-15 up\n", [b"2024-01-15 up"]),
    "a leading zero is no count": (b"05 <14>a\n", [b"05 <14>a"]),
    "more digits than any count": (b"9" * 30 + b" <14>a\n", [b"9" * 30 + b" <14>a"]),
    "digits alone": (b"12", [b"12"]),
    "half a header": (b"12 <1", [b"12 <1"]),
    "a count and nothing of the message": (b"12 <14>", [b"<14>"]),
    "a counted message that the end cuts": (b"50 <14>half", [b"<14>half"]),
    "JSON with a PRI inside": (b'{"message": "5 <14>a"}\n', [b'{"message": "5 <14>a"}']),
    "NUL, then newlines inside": (
        b"<14>a\0<14>Traceback\n  File\nError\0<14>c\0",
        [b"<14>a", b"<14>Traceback\n  File\nError", b"<14>c"],
    ),
    "NUL, then lines that end with LF": (
        b"<14>a\0<14>b\n<14>c\nd\n",
        [b"<14>a", b"<14>b", b"<14>c", b"d"],
    ),
    "NUL, then JSON and plain lines": (b"<14>a\0{}\nx\n<14>b\nc\0", [b"<14>a", b"{}", b"x", b"<14>b\nc"]),
    "NUL, then octet counts": (
        b"<14>a\x005 <14>b5 <14>c<14>d\ne\0",
        [b"<14>a", b"<14>b", b"<14>c", b"<14>d\ne"],
    ),
    "a newline before any NUL": (b"<14>a\nb\0<14>c\n", [b"<14>a", b"b", b"<14>c"]),
    "nothing": (b"", []),
}


@pytest.mark.parametrize(("stream", "expected"), FRAMES.values(), ids=FRAMES.keys())
def test_a_stream_becomes_messages(stream: bytes, expected: list[bytes]) -> None:
    assert split(stream)[0] == expected


@pytest.mark.parametrize(("stream", "expected"), FRAMES.values(), ids=FRAMES.keys())
def test_reads_of_one_byte_change_nothing(stream: bytes, expected: list[bytes]) -> None:
    assert split(*(stream[at : at + 1] for at in range(len(stream))))[0] == expected


def test_a_count_that_is_too_small_ends_the_connection_after_what_it_covers() -> None:
    messages, splitter = split(b"5 <14>abc\n")
    assert messages == [b"<14>a"]
    assert splitter.lie
    assert splitter.refused == b"bc\n"


@pytest.mark.parametrize(
    ("stream", "kept", "refused"),
    [
        (b"14 <14>a5 <14>b5 <14>c", [b"<14>a5 <14>b5 "], b"<14>c"),
        (b"<14>a\n99999999 <14>b", [b"<14>a"], b"99999999 <14>b"),
        (b"1" * 20 + b" <14>b", [], b"1" * 20 + b" <14>b"),
        (b"5 <14>a12 nothing\n", [b"<14>a"], b"12 nothing\n"),
        (b"5 <14>a xyz\n<14>b\n", [b"<14>a"], b" xyz\n<14>b\n"),
    ],
    ids=[
        "too large: hidden by the next PRI",
        "beyond any message",
        "twenty digits",
        "no message",
        "blank after it",
    ],
)
def test_a_lying_count_loses_no_byte(stream: bytes, kept: list[bytes], refused: bytes) -> None:
    splitter = Splitter(LIMIT)
    messages = splitter.feed(stream)
    assert messages == kept
    assert bool(splitter.lie) == (refused != b"<14>c")
    assert (splitter.refused or b"".join(splitter.finish())) == refused


def test_a_line_over_the_limit_is_cut_and_the_next_one_is_whole() -> None:
    messages, splitter = split(b"<14>" + b"x" * 200 + b"\n<14>next\n")
    assert messages == [b"<14>" + b"x" * 96, b"<14>next"]
    assert splitter.cut_messages == 1


def test_a_line_over_the_limit_in_many_reads_holds_no_more_than_the_limit() -> None:
    splitter = Splitter(LIMIT)
    messages = []
    for _ in range(1000):
        messages += splitter.feed(b"x" * 37)
        assert splitter.pending_bytes <= LIMIT
    messages += splitter.feed(b"\nnext\n")
    assert messages == [b"x" * LIMIT, b"next"]
    assert splitter.cut_messages == 1


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\0"])
def test_a_line_of_exactly_the_limit_is_whole(end: bytes) -> None:
    for reads in ([b"x" * LIMIT + end], [b"x" * LIMIT, end], [b"x" * LIMIT + end[:1], end[1:]]):
        messages, splitter = split(*reads)
        assert messages == [b"x" * LIMIT]
        assert splitter.cut_messages == 0


def test_a_counted_message_over_the_limit_is_cut_and_its_rest_skipped() -> None:
    stream = b"200 <14>" + b"x" * 196 + b"5 <14>b"
    for reads in ([stream], [stream[at : at + 7] for at in range(0, len(stream), 7)]):
        messages, splitter = split(*reads)
        assert messages == [b"<14>" + b"x" * 96, b"<14>b"]
        assert splitter.cut_messages == 1
        assert not splitter.lie


def test_the_largest_count_is_taken_and_one_more_is_a_lie() -> None:
    assert not split(b"%d <14>" % OCTET_COUNT_MAX)[1].lie
    assert split(b"%d <14>" % (OCTET_COUNT_MAX + 1))[1].lie


def test_memory_can_be_taken_back_from_a_half_line() -> None:
    splitter = Splitter(LIMIT)
    assert splitter.feed(b"<14>half") == []
    assert splitter.cut_pending() == [b"<14>half"]
    assert splitter.pending_bytes == 0
    assert splitter.feed(b" the rest\n<14>next\n") == [b"<14>next"]


def test_a_message_that_nul_ends_is_cut_at_the_limit_as_a_whole() -> None:
    stream = b"<14>a\0<14>" + b"line\n" * 100 + b"\0<14>next\n\0"
    for reads in ([stream], [stream[at : at + 7] for at in range(0, len(stream), 7)]):
        messages, splitter = split(*reads)
        assert messages == [b"<14>a", (b"<14>" + b"line\n" * 100)[:LIMIT], b"<14>next\n"]
        assert splitter.cut_messages == 1


@pytest.mark.parametrize(
    "piece",
    [b"x\0", b"x\n", b"\n", b"\r", b"\n<", b"\n<1", b"<1>x\n5 <14>a", b"<14>a\0<14>a\n", b"{}\n", b"1\n"],
)
@pytest.mark.parametrize("head", [b"", b"<14>a\0", b"<14>a\0<14>"], ids=["lines", "NUL", "until NUL"])
def test_no_stream_takes_long(head: bytes, piece: bytes) -> None:
    stream = head + piece * ((1 << 18) // len(piece)) + b" <"
    began_s = time.process_time()
    split(stream, limit=1 << 20)
    assert time.process_time() - began_s < 2.0


PIECES = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\0",
        b"\r",
        b"<14>",
        b"<14>a\0",
        b"<191>1 ",
        b"5 <14>a",
        b"11 <14>",
        b" ",
        b"7",
        b"12 ",
        b"{}",
        b"[",
        b"x" * 30,
        b"\xff",
    ]
)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(PIECES | st.binary(max_size=6), max_size=40).map(b"".join),
    st.lists(st.integers(1, 60), max_size=30),
)
def test_where_reads_are_cut_changes_nothing(stream: bytes, lengths: list[int]) -> None:
    whole, whole_splitter = split(stream)
    reads, at = [], 0
    for length in lengths:
        reads.append(stream[at : at + length])
        at += length
    reads.append(stream[at:])
    pieces, splitter = split(*reads)
    assert pieces == whole
    assert splitter.cut_messages == whole_splitter.cut_messages
    assert bool(splitter.lie) == bool(whole_splitter.lie)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=90).map(lambda text: b"<14>" + text), max_size=20))
def test_octet_counts_carry_any_bytes(messages: list[bytes]) -> None:
    stream = b"".join(b"%d %s" % (len(message), message) for message in messages)
    assert split(stream)[0] == [message.rstrip(b"\r\n\0") for message in messages]

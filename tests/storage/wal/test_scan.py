"""Whatever happens to a segment's bytes, every other record is found."""

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.wal.record import HEADER_BYTES, MAGIC, Header, pack_header, payload_crc
from storage.wal.scan import scan

SEGMENT = 0x0123456789ABCDEF
payloads = st.lists(st.binary(max_size=120), min_size=1, max_size=8)


def write(contents: list[bytes], segment_id: int = SEGMENT) -> tuple[bytes, list[tuple[int, int]]]:
    file, places = b"", []
    for number, payload in enumerate(contents):
        header = Header(0, 1, len(payload), 1, 0, number, bytes(16), payload_crc(payload))
        places.append((len(file), len(file) + HEADER_BYTES + len(payload)))
        file += pack_header(header, segment_id, len(file)) + payload
    return file, places


def found(content: bytes) -> list[bytes]:
    return [bytes(record.payload) for record in scan(content, SEGMENT).records]


@given(payloads)
def test_an_intact_segment_has_all_records_and_no_damage(contents: list[bytes]) -> None:
    file, _ = write(contents)
    result = scan(file, SEGMENT)
    assert found(file) == contents
    assert (result.damage, result.end) == ([], len(file))


@given(payloads, st.data())
def test_after_any_truncation_every_whole_record_survives(contents: list[bytes], data: st.DataObject) -> None:
    file, places = write(contents)
    cut = data.draw(st.integers(0, len(file)))
    result = scan(file[:cut], SEGMENT)
    whole = [stop for _, stop in places if stop <= cut]
    assert found(file[:cut]) == contents[: len(whole)]
    assert result.end == (whole[-1] if whole else 0)
    assert result.damage == []


@settings(max_examples=400)
@given(payloads, st.data())
def test_after_any_flipped_bit_every_other_record_survives(
    contents: list[bytes], data: st.DataObject
) -> None:
    file, places = write(contents)
    at = data.draw(st.integers(0, len(file) - 1))
    flipped = bytearray(file)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    hit = next(number for number, (start, stop) in enumerate(places) if start <= at < stop)
    result = scan(bytes(flipped), SEGMENT)
    assert [bytes(record.payload) for record in result.records] == contents[:hit] + contents[hit + 1 :]
    torn = result.end < len(file)
    assert result.damage == ([] if torn else [places[hit]])
    assert not torn or (hit == len(contents) - 1 and result.end == places[hit][0])


@given(payloads, payloads, st.binary(min_size=1, max_size=200))
def test_rubbish_between_records_is_stepped_over(
    before: list[bytes], after: list[bytes], rubbish: bytes
) -> None:
    first, _ = write(before)
    middle = first + rubbish
    rest = b""
    for payload in after:
        header = Header(0, 1, len(payload), 1, 0, 0, bytes(16), payload_crc(payload))
        rest += pack_header(header, SEGMENT, len(middle) + len(rest)) + payload
    result = scan(middle + rest, SEGMENT)
    assert [bytes(record.payload) for record in result.records] == before + after
    assert result.damage == [(len(first), len(middle))]


def test_a_record_inside_a_message_is_not_taken_for_one() -> None:
    forged, _ = write([b"forged"])
    file, places = write([b"first", b"text " + forged + b" text", b"last"])
    flipped = bytearray(file)
    flipped[places[1][0] + 9] ^= 4  # the header around the forged record
    assert found(bytes(flipped)) == [b"first", b"last"]


def test_records_of_another_segment_are_not_taken() -> None:
    stale, _ = write([b"stale"], segment_id=SEGMENT - 1)
    assert found(stale) == []


def test_zeros_at_the_end_are_a_torn_tail() -> None:
    file, _ = write([b"one"])
    result = scan(file + bytes(500), SEGMENT)
    assert (len(result.records), result.damage, result.end) == (1, [], len(file))


def test_the_magic_alone_misleads_nobody() -> None:
    assert found(MAGIC * 100) == []

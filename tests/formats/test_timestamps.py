"""Times as senders write them, to the nanosecond, one by one and as whole columns."""

from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import RejectedRecord
from core.limits import TIMESTAMP_NS_MAX
from formats.timestamp_column import NOT_A_TIME_NS, parse_timestamps
from formats.timestamps import NOT_A_TIME, OUT_OF_RANGE, format_timestamp, parse_timestamp

DAY = 1_705_276_800  # 2024-01-15T00:00:00Z
TEN = DAY + 36_000
ISO = {
    "2024-01-15T10:00:00Z": TEN,
    "2024-01-15t10:00:00z": TEN,
    "2024-01-15T10:00:00": TEN,
    "2024-01-15 10:00:00": TEN,
    "2024-01-15  10:00:00 UTC": TEN,
    "2024-01-15 10:00:00 GMT": TEN,
    " 2024-01-15T10:00:00Z\n": TEN,
    "2024-01-15T10:00Z": TEN,
    "2024-01-15T10": TEN,
    "2024-01-15": DAY,
    "20240115T100000Z": TEN,
    "20240115": 20240115,  # digits alone are an epoch
    "2024-W03-1T10:00:00Z": TEN,
    "2024W031T100000Z": TEN,
    "2024-015T10:00:00Z": TEN,
    "2024-01-15T12:30:00+02:30": TEN,
    "2024-01-15T12:30:00+0230": TEN,
    "2024-01-15T12:00:00 +02": TEN,
    "2024-01-15T02:00:00-08:00": TEN,
    "2024-01-15T10:00:00-00:00": TEN,
    "2024-01-16T09:59:00+23:59": TEN,
    "2024-01-15T24:00:00Z": DAY + 86_400,
    "2016-12-31T23:59:60Z": 1_483_228_800,
    "2024-02-29T00:00:00Z": 1_709_164_800,
    "1970-01-01T00:00:00Z": 0,
    "2199-12-31T23:59:59Z": TIMESTAMP_NS_MAX // 10**9 - 1,
}
FRACTIONS = {
    "2024-01-15T10:00:00.5Z": 500_000_000,
    "2024-01-15T10:00:00,25Z": 250_000_000,
    "2024-01-15T10:00:00.123Z": 123_000_000,
    "2024-01-15T10:00:00.123456Z": 123_456_000,
    "2024-01-15T10:00:00.123456789Z": 123_456_789,
    "2024-01-15T10:00:00.1234567891234+00:00": 123_456_789,
    "2024-01-15T10:00:00.000000001": 1,
}
EPOCHS = {
    "1705312800": TEN * 10**9,
    "1705312800.5": TEN * 10**9 + 500_000_000,
    "1705312800.123456789": TEN * 10**9 + 123_456_789,
    "1705312800123": TEN * 10**9 + 123_000_000,
    "1705312800123.25": TEN * 10**9 + 123_250_000,
    "1705312800123456": TEN * 10**9 + 123_456_000,
    "1705312800123456789": TEN * 10**9 + 123_456_789,
    "1.7053128e9": TEN * 10**9,
    "1.7053128e+18": TEN * 10**9,
    "+1705312800": TEN * 10**9,
    "0": 0,
    "-0": 0,
    "5": 5 * 10**9,
    "7000000000": 7_000_000_000 * 10**9,
    "100000000000": 100_000_000 * 10**9,
    "7258118399999999999": TIMESTAMP_NS_MAX - 1,
}
REFUSED = {
    "": NOT_A_TIME,
    " ": NOT_A_TIME,
    "now": NOT_A_TIME,
    "2024-01-15T10:00:00ZZ": NOT_A_TIME,
    "2024-01-15T10:00:00.Z": NOT_A_TIME,
    "2024-01-15T10:00:61Z": NOT_A_TIME,
    "2024-01-15T10:60:00Z": NOT_A_TIME,
    "2024-01-15T24:00:01Z": NOT_A_TIME,
    "2024-01-15T10:00:00+24:00": NOT_A_TIME,
    "2024-01-15T10:00:00+05:60": NOT_A_TIME,
    "2023-02-29T00:00:00Z": NOT_A_TIME,
    "2024-13-01T00:00:00Z": NOT_A_TIME,
    "2024-00-10": NOT_A_TIME,
    "2023-366T00:00:00Z": NOT_A_TIME,
    "2024-W54-1": NOT_A_TIME,
    "0000-01-01": NOT_A_TIME,
    "15/Jan/2024:10:00:00": NOT_A_TIME,
    "0x65": NOT_A_TIME,
    "1_000": NOT_A_TIME,
    "１７０５３１２８００": NOT_A_TIME,
    "1" * 129: NOT_A_TIME,
    "NaN": NOT_A_TIME,
    "Infinity": NOT_A_TIME,
    "1e9999": OUT_OF_RANGE,
    "1e99999": NOT_A_TIME,
    "-1": OUT_OF_RANGE,
    "1969-12-31T23:59:59.999Z": OUT_OF_RANGE,
    "1970-01-01T00:00:00+00:01": OUT_OF_RANGE,
    "2200-01-01T00:00:00Z": OUT_OF_RANGE,
    "9999-12-31T23:59:59Z": OUT_OF_RANGE,
    "7258118400000000000": OUT_OF_RANGE,
    "99999999999999999999": OUT_OF_RANGE,
}
READ = {
    **{text: second * 10**9 for text, second in ISO.items()},
    **{text: TEN * 10**9 + fraction_ns for text, fraction_ns in FRACTIONS.items()},
    **EPOCHS,
}


@pytest.mark.parametrize(("text", "at_ns"), READ.items(), ids=READ.keys())
def test_a_time_is_read(text: str, at_ns: int) -> None:
    assert parse_timestamp(text) == at_ns


@pytest.mark.parametrize(("text", "reason"), REFUSED.items(), ids=[text[:30] for text in REFUSED])
def test_what_is_no_time_is_refused(text: str, reason: str) -> None:
    with pytest.raises(RejectedRecord) as raised:
        parse_timestamp(text)
    assert raised.value.reason == reason


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (TEN * 10**9, "2024-01-15T10:00:00Z"),
        (TEN * 10**9 + 500_000_000, "2024-01-15T10:00:00.500Z"),
        (TEN * 10**9 + 1_000, "2024-01-15T10:00:00.000001Z"),
        (TEN * 10**9 + 1, "2024-01-15T10:00:00.000000001Z"),
        (0, "1970-01-01T00:00:00Z"),
        (TIMESTAMP_NS_MAX - 1, "2199-12-31T23:59:59.999999999Z"),
    ],
)
def test_a_time_is_written_with_as_many_digits_as_it_needs(at_ns: int, text: str) -> None:
    assert format_timestamp(at_ns) == text


ANY_TIME = st.integers(0, TIMESTAMP_NS_MAX - 1)
TEXTS = (
    st.sampled_from([*READ, *REFUSED])
    | ANY_TIME.map(format_timestamp)
    | ANY_TIME.map(str)
    | st.text(max_size=30)
)


@settings(deadline=None)
@given(ANY_TIME)
def test_any_time_that_is_written_is_read_again(at_ns: int) -> None:
    assert parse_timestamp(format_timestamp(at_ns)) == at_ns


@settings(deadline=None)
@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1)),
    st.integers(-1439, 1439),
    st.sampled_from(["T", " "]),
)
def test_any_offset_is_undone(moment: datetime, offset_min: int, between: str) -> None:
    local = moment.replace(tzinfo=timezone(timedelta(minutes=offset_min)))
    expected = (local - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
    assert parse_timestamp(local.isoformat(between)) == expected


@settings(max_examples=500, deadline=None)
@given(st.lists(TEXTS, max_size=5) | TEXTS.map(lambda text: [text]))
def test_a_column_is_read_as_its_texts_are(texts: list[str]) -> None:
    def read(text: str) -> int:
        try:
            return parse_timestamp(text)
        except RejectedRecord:
            return NOT_A_TIME_NS

    assert parse_timestamps(pa.array(texts, pa.string())).tolist() == [read(text) for text in texts]

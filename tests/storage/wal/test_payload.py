"""A batch comes back from its bytes as it was."""

import pyarrow as pa
import pytest

from core.errors import WalError
from core.log_batch import DEAD_LETTER_SCHEMA, LOG_SCHEMA, LogBatch
from storage.wal.payload import HEAD, VERSION, decode, encode, merge, read_head, schema_version
from tests.storage.wal.batches import batch


@pytest.mark.parametrize(
    "original",
    [
        pytest.param(batch("a", "ü🦀\0"), id="logs"),
        pytest.param(batch(dead=("{", "")), id="dead letters"),
        pytest.param(batch("a", dead=("{",)), id="both"),
        pytest.param(
            LogBatch(batch(*"abcdefgh").logs.slice(3, 2), batch(dead=("x",)).dead_letters), id="slice"
        ),
    ],
)
def test_round_trip(original: LogBatch) -> None:
    payload = encode(original)
    copy = decode(payload)
    assert copy.logs.equals(original.logs)
    assert copy.dead_letters.equals(original.dead_letters)
    assert (read_head(payload).logs, read_head(payload).dead_letters) == (
        original.logs.num_rows,
        original.dead_letters.num_rows,
    )


def test_decoding_does_not_copy_the_columns() -> None:
    payload = encode(batch(*map(str, range(1000))))
    before = pa.total_allocated_bytes()
    logs = decode(payload).logs
    assert pa.total_allocated_bytes() == before
    assert logs.num_rows == 1000


def test_merging_keeps_rows_and_order() -> None:
    merged = merge([batch("a", dead=("x",)), batch("b", "c"), batch(dead=("y",))])
    assert merged.logs["message"].to_pylist() == ["a", "b", "c"]
    assert merged.dead_letters["raw"].to_pylist() == [b"x", b"y"]


def test_a_payload_of_an_unknown_version_is_named() -> None:
    payload = encode(batch("a"))
    other = HEAD.pack(VERSION ^ 1, *HEAD.unpack_from(payload)[1:]) + payload[HEAD.size :]
    with pytest.raises(WalError, match="version"):
        decode(other)


def test_another_column_is_another_version() -> None:
    assert schema_version(LOG_SCHEMA.append(pa.field("x", pa.string())), DEAD_LETTER_SCHEMA) != VERSION


@pytest.mark.parametrize("cut", [0, 5, HEAD.size, 100])
def test_a_cut_payload_is_refused(cut: int) -> None:
    with pytest.raises(WalError):
        read_head(encode(batch("a"))[:cut])

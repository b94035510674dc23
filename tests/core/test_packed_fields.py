"""Additional fields as text: what goes in comes back, and each pair can be a token."""

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from core.packed_fields import SEPARATOR, TOKEN_VALUE_BYTES, name_in, pack_fields, prefix, unpack_fields

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["", '":', '\\":', 'a":1', "\\", "\x1f", 'a\x1f"b":1', "é", "x" * 200]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=150),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=0),
    max_leaves=4,
)
FIELDS = st.dictionaries(NAMES, VALUES.map(lambda value: orjson.dumps(value).decode()), max_size=6)


@given(FIELDS)
@example({'a\\":': '"\\\\":"', "b": '"x\\u001fy"'})
def test_fields_come_back_as_they_went_in(fields: dict[str, str]) -> None:
    packed = pack_fields([*fields], fields.values())
    assert unpack_fields(packed.fields + packed.long_fields) == fields


@given(FIELDS)
def test_a_pair_is_a_token_unless_it_is_long(fields: dict[str, str]) -> None:
    packed = pack_fields([*fields], fields.values())
    short = unpack_fields(packed.fields)
    assert packed.fields.split(SEPARATOR)[1:] == [
        f"{orjson.dumps(name).decode()}:{value}" for name, value in short.items()
    ]
    assert not any(value[0] == "[" or len(value.encode()) >= TOKEN_VALUE_BYTES for value in short.values())
    long = unpack_fields(packed.long_fields)
    assert all(value[0] == "[" or len(value.encode()) >= TOKEN_VALUE_BYTES for value in long.values())


@given(NAMES)
def test_a_prefix_tells_its_name(name: str) -> None:
    assert name_in(prefix(name)) == name
    assert SEPARATOR not in prefix(name)[1:]

"""Every limit that a client can meet, with the answer it then gets."""

from typing import Final

MIB: Final = 1 << 20

# One HTTP ingest request.
REQUEST_LOGS_MAX: Final = 1000  # 413, nothing stored
REQUEST_BODY_BYTES_MAX: Final = 10 * MIB  # after decompression: 413, nothing stored
# As columns: each leaf of nested objects has its whole path as a name, which can make a body fifty times
# larger. A body without nested objects never comes near it.
REQUEST_FLATTENED_BYTES_MAX: Final = 32 * MIB  # 413, nothing stored

# One log. Past these the record is a dead letter, its neighbours are stored.
RECORD_BYTES_MAX: Final = 1 * MIB
RECORD_FIELDS_MAX: Final = 1000  # leaves, after flattening
RECORD_NESTING_MAX: Final = 32
FIELD_NAME_BYTES_MAX: Final = 512
TIMESTAMP_NS_MIN: Final = 0  # 1970-01-01
TIMESTAMP_NS_MAX: Final = 7_258_118_400_000_000_000  # 2200-01-01, exclusive

# What a listener makes columns of at once: lines beyond it wait for the next batch, none is refused. Nested
# fields can make a line seventy times larger, but by the limits above none comes near this alone.
BATCH_FLATTENED_BYTES_MAX: Final = 32 * MIB

# Dead letters keep the raw bytes up to this, and say how many there were.
DEAD_LETTER_RAW_BYTES_MAX: Final = 64 * 1024
REPORTED_ERRORS_MAX: Final = 10  # of the rejected records of one request

# JSON bodies other than logs: searches, alert rules.
API_BODY_BYTES_MAX: Final = 1 * MIB  # 413

# One search query: past any of these 400, with the position.
QUERY_CHARACTERS_MAX: Final = 16_384
QUERY_NESTING_MAX: Final = 32  # parentheses
QUERY_TERMS_MAX: Final = 256
QUERY_SIGNS_MAX: Final = 2048  # operators, signs and parentheses
QUERY_WILDCARDS_MAX: Final = 32  # `*` and `?`, in all its patterns
QUERY_REGEXES_MAX: Final = 8
REGEX_CHARACTERS_MAX: Final = 1000
# Settings of ClickHouse for what such a query becomes in SQL: its own limits are lower.
LARGE_STATEMENTS: Final = {
    "max_query_size": 4 * MIB,
    "max_ast_elements": 500_000,
    "max_expanded_ast_elements": 2_000_000,
}

-- Records that could not be stored as logs, as they came in.
CREATE TABLE IF NOT EXISTS {local:dead_letters} {on_cluster}
(
    id UInt64,
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    raw String CODEC(ZSTD(3)),
    raw_bytes UInt64,
    source_ip String CODEC(ZSTD(1)),
    method LowCardinality(String),
    replayed_at Nullable(DateTime64(9, 'UTC'))
)
ENGINE = {engine:MergeTree}
PARTITION BY toYYYYMM(received_at)
ORDER BY (received_at, id)
SETTINGS {settings};

{distributed:dead_letters:intHash64(id)};

-- API keys by the SHA-256 of the key; the newest row of a key counts.
CREATE TABLE IF NOT EXISTS {local:api_keys} {on_cluster}
(
    key_hash String,
    name String,
    created_at DateTime64(3, 'UTC'),
    revoked Bool,
    updated_at DateTime64(9, 'UTC')
)
ENGINE = {engine:ReplacingMergeTree}(updated_at)
ORDER BY key_hash
SETTINGS {settings};

{distributed:api_keys:sipHash64(key_hash)};

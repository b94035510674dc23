-- Records that could not be stored as logs, as they came in. A replayed one gets a second row with the time of
-- the replay, which takes the place of the first.
CREATE TABLE IF NOT EXISTS {local:dead_letters} {on_cluster}
(
    id UInt64,
    received_at DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    reason String CODEC(ZSTD(1)),
    raw String CODEC(ZSTD(3)),
    raw_bytes UInt64,
    source_ip String CODEC(ZSTD(1)),
    method LowCardinality(String),
    replayed_at DateTime64(9, 'UTC') DEFAULT 0 -- 1970: never
)
ENGINE = {engine:ReplacingMergeTree}(replayed_at)
PARTITION BY toYYYYMM(received_at)
ORDER BY (received_at, id)
SETTINGS {settings};

{distributed:dead_letters:intHash64(id)};

-- Which node writes which partition of the write-ahead log; a number that was claimed once is never free again.
CREATE TABLE IF NOT EXISTS {local:wal_partitions} {on_cluster}
(
    partition UInt16,
    node String,
    claim UUID,
    claimed_at DateTime64(9, 'UTC')
)
ENGINE = {engine:MergeTree}
ORDER BY (partition, claimed_at)
SETTINGS {settings};

{distributed:wal_partitions:partition};

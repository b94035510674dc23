-- The logs, one row each. The sort key lets a search by time, service and level read few granules; hours, not
-- seconds, come first in it so that equal services lie together.
CREATE TABLE IF NOT EXISTS {local:logs} {on_cluster}
(
    timestamp DateTime64(9, 'UTC') CODEC(Delta, Default),
    -- Hours since 1970. It takes no room, and counts by hour or between whole hours read no timestamps.
    hour UInt32 MATERIALIZED intDiv(toUnixTimestamp64Second(timestamp), 3600) CODEC(Default),
    seq UInt64 CODEC(Delta, Default),
    level LowCardinality(String),
    service LowCardinality(String),
    -- Messages are alike: in longer blocks they take half the room.
    message String CODEC(Default) SETTINGS (min_compress_block_size = 65536, max_compress_block_size = 1048576),
    -- The additional fields, `"name":value` as JSON, each behind the separator: a token each. One text costs an insert
    -- and a merge a quarter less than a map, and takes less room. Arrays and long values are apart from the others.
    fields String CODEC(Default),
    long_fields String CODEC(Default),
    -- Their tokens: of a value its beginning, so that one long value cannot fill the dictionary, and `"name"[element`
    -- for each element of an array. Kept, as each search would have to analyse this.
    long_tokens String MATERIALIZED arrayStringConcat(arrayMap(
        (name, pair) -> concat(
            '\x1f', name, ':', substring(pair, length(name) + 2, 128),
            arrayStringConcat(arrayMap(
                element -> concat('\x1f', name, '[', substring(element, 1, 128)),
                JSONExtractArrayRaw(substring(pair, length(name) + 2))
            ))
        ),
        arrayMap(pair -> extract(pair, '^("(?:[^"\\\\]|\\\\.)*"):'), arrayPopFront(splitByChar('\x1f', long_fields))),
        arrayPopFront(splitByChar('\x1f', long_fields))
    )) CODEC(Default),
    shape String CODEC(Default),
    ingested_at DateTime64(9, 'UTC') CODEC(Delta, Default),
    source_ip String CODEC(Default),
    method LowCardinality(String),
    -- Everything that a search looks up, separated: words of the message in lower case, and "field":value with the value
    -- as JSON text. Words never begin with a quote, so that they lie together in the dictionary, as do the values of a
    -- field. (One text that is cut costs an insert a sixth less than an array of tokens.)
    tokens String ALIAS concat(
        translate(
            lowerUTF8(message),
            '\t\n\v\f\r !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}',
            -- As many separators. (Of an expression of constants the index would not know that it is its own.)
            '\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f\x1f'
        ),
        '\x1f"level":', level,
        '\x1f"service":', replaceAll(service, '\x1f', '\\u001f'),
        fields,
        long_tokens
    ),
    INDEX tokens_index tokens TYPE text(tokenizer = splitByString(['\x1f']), dictionary_block_size = 8192)
)
ENGINE = {engine:MergeTree}
PARTITION BY toDate(timestamp)
ORDER BY (hour, service, level, timestamp, seq)
-- Small granules and blocks: a page has its logs from many places, each of which reads a block of every column.
-- A day that has been quiet for three hours becomes one part: each part more makes every search look once more.
SETTINGS index_granularity = 1024, min_compress_block_size = 16384, max_compress_block_size = 262144,
    min_partition_age_to_force_merge_seconds = 10800, {settings};

{distributed:logs:intHash64(seq)};

-- Counts by minute, service and level, fed by each insert into logs. Counting and histograms read this.
CREATE TABLE IF NOT EXISTS {local:logs_per_minute} {on_cluster}
(
    minute DateTime64(0, 'UTC') CODEC(Delta, ZSTD(1)),
    service LowCardinality(String),
    level LowCardinality(String),
    rows UInt64 CODEC(ZSTD(1))
)
ENGINE = {engine:SummingMergeTree}(rows)
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, service, level)
SETTINGS {settings};

{distributed:logs_per_minute:rand()};

-- toStartOfMinute ends in the year 2106; logs may be dated up to 2200.
CREATE MATERIALIZED VIEW IF NOT EXISTS logs_per_minute_feed {on_cluster} TO {local:logs_per_minute} AS
SELECT
    toDateTime64(intDiv(toUnixTimestamp64Second(timestamp), 60) * 60, 0, 'UTC') AS minute,
    service,
    level,
    count() AS rows
FROM {local:logs}
GROUP BY minute, service, level;

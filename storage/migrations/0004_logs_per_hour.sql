-- The same counts by hour, a sixtieth of the rows: long ranges read this, and minutes only at their ends.
CREATE TABLE IF NOT EXISTS {local:logs_per_hour} {on_cluster}
(
    hour UInt32 CODEC(Delta, ZSTD(1)),
    service LowCardinality(String),
    level LowCardinality(String),
    rows UInt64 CODEC(ZSTD(1))
)
ENGINE = {engine:SummingMergeTree}(rows)
ORDER BY (hour, service, level)
SETTINGS {settings};

{distributed:logs_per_hour:rand()};

CREATE MATERIALIZED VIEW IF NOT EXISTS logs_per_hour_feed {on_cluster} TO {local:logs_per_hour} AS
SELECT hour, service, level, count() AS rows
FROM {local:logs}
GROUP BY hour, service, level;

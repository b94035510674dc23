-- What people wrote: alert rules, escalation policies and maintenance windows. The newest row of an id counts.
CREATE TABLE IF NOT EXISTS {local:alert_definitions} {on_cluster}
(
    kind LowCardinality(String),
    id String,
    version UInt64,
    deleted Bool,
    created_at_ns Int64,
    body String CODEC(ZSTD(3))
)
ENGINE = {engine:ReplacingMergeTree}(version)
ORDER BY (kind, id)
SETTINGS {settings};

{distributed:alert_definitions:sipHash64(id)};

-- What happened: the state of each rule, its history, the notices to send and what became of them. All rows of one
-- evaluation are one insert into this one table, and so there together or not at all. A repeated row has the same
-- key and replaces itself; of a rule's state only the newest row is kept.
CREATE TABLE IF NOT EXISTS {local:alert_journal} {on_cluster}
(
    rule_id String,
    kind LowCardinality(String),
    key String,
    version UInt64,
    at DateTime64(9, 'UTC'),
    group_name String,
    done Bool,
    body String CODEC(ZSTD(3)),
    expires_at DateTime,
    INDEX at_index at TYPE minmax GRANULARITY 1
)
ENGINE = {engine:ReplacingMergeTree}(version)
ORDER BY (rule_id, kind, key)
TTL expires_at
SETTINGS {settings};

{distributed:alert_journal:sipHash64(rule_id)};

-- Rules that count by the time of ingestion look at a few minutes of it, wherever the logs' own times lie.
ALTER TABLE {local:logs} {on_cluster} ADD INDEX IF NOT EXISTS ingested_at_index ingested_at TYPE minmax GRANULARITY 1;

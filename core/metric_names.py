"""Every metric that /metrics can show, in one list."""

from core.metrics import Metric

LOGS_INGESTED = Metric(
    "logs_ingested_total", "counter", "Logs acknowledged: written to the WAL and fsynced.", ("method",)
)
INGESTION_LATENCY = Metric(
    "ingestion_latency_seconds", "summary", "From a request's last byte to its acknowledgement."
)
REQUESTS = Metric("http_requests_total", "counter", "HTTP requests answered.", ("method", "status"))
HTTP_REFUSED = Metric(
    "http_requests_refused_total",
    "counter",
    "Requests that HAProxy answered in a replica's place: all replicas are busy (busy), none answers "
    "(unavailable), the body is too large (too_large), unreadable or too slow (bad_request), denied.",
    ("reason",),
)
REJECTED = Metric("logs_rejected_total", "counter", "Records that could not be stored as logs.", ("reason",))
DEAD_LETTERS = Metric("dead_letters_total", "counter", "Dead letters written to the WAL.", ("method",))
BACKPRESSURE = Metric(
    "backpressure_total", "counter", "Batches refused because a bound was reached.", ("reason",)
)

WAL_BYTES = Metric("wal_bytes", "gauge", "Bytes of the WAL on disk.", ("partition",))
WAL_FSYNCS = Metric("wal_fsyncs_total", "counter", "Group commits of the WAL.", ("partition",))
WAL_DAMAGED_BYTES = Metric(
    "wal_damaged_bytes_total",
    "counter",
    "Bytes of the WAL set aside because their checksum is wrong.",
    ("partition",),
)
BUFFERED_ROWS = Metric(
    "buffered_rows", "gauge", "Rows acknowledged but not yet inserted into ClickHouse.", ("partition",)
)
BUFFERED_BYTES = Metric(
    "buffered_bytes", "gauge", "Bytes acknowledged but not yet inserted into ClickHouse.", ("partition",)
)
INSERTS = Metric("clickhouse_inserts_total", "counter", "Inserts that ClickHouse confirmed.", ("partition",))
INSERTED_ROWS = Metric(
    "clickhouse_inserted_rows_total", "counter", "Rows in confirmed inserts.", ("partition",)
)
INSERT_FAILURES = Metric(
    "clickhouse_insert_failures_total",
    "counter",
    "Inserts that failed and will be tried again.",
    ("partition",),
)
REFUSED_ROWS = Metric(
    "clickhouse_refused_rows_total",
    "counter",
    "Logs that ClickHouse does not take: now dead letters.",
    ("partition",),
)
SEARCHES = Metric("searches_total", "counter", "Searches that ended.", ("outcome",))
SEARCH_LATENCY = Metric(
    "search_latency_seconds", "summary", "From a search's arrival at the planner to its end."
)
SEARCHES_RUNNING = Metric("searches_running", "gauge", "Searches under way.")
SEARCHES_WAITING = Metric("searches_waiting", "gauge", "Searches that wait for their turn.")

TCP_CONNECTIONS = Metric("tcp_connections", "gauge", "Connections to the TCP and TLS listeners.")
TCP_REFUSED = Metric(
    "tcp_connections_refused_total",
    "counter",
    "Connections closed at once: over the bound (limit), not allowed (network), no handshake (tls).",
    ("reason",),
)
TCP_CLOSED = Metric(
    "tcp_connections_closed_total",
    "counter",
    "Connections that the listener closed: idle too long (idle), a wrong octet count (octet_count).",
    ("reason",),
)
RECEIVED_BYTES = Metric("received_bytes_total", "counter", "Bytes read by the listeners.", ("method",))
CUT_LINES = Metric(
    "cut_lines_total", "counter", "Lines kept without their end: over a limit of bytes.", ("method",)
)
UNSENT_BYTES = Metric(
    "listener_unsent_bytes",
    "gauge",
    "Memory of messages that were read and are not yet on disk.",
    ("method",),
)
PAUSED = Metric(
    "listeners_paused", "gauge", "Listeners that do not read, because the writers are behind.", ("method",)
)
UDP_REFUSED = Metric(
    "udp_datagrams_refused_total", "counter", "Datagrams from a network that is not allowed."
)

ALERT_RULES = Metric("alert_rules", "gauge", "Alert rules by state.", ("state",))
ALERT_EVALUATIONS = Metric(
    "alert_evaluations_total", "counter", "Windows that alert rules have evaluated.", ("outcome",)
)
ALERT_LATENESS = Metric(
    "alert_lateness_seconds", "gauge", "By how much the latest rule's evaluations began after their time."
)
ALERT_NOTICES = Metric(
    "alert_notices_total",
    "counter",
    "Notices that are done with, by receiver and outcome.",
    ("receiver", "outcome"),
)

ALL: tuple[Metric, ...] = tuple(value for value in globals().values() if isinstance(value, Metric))

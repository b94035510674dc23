"""The embedded ClickHouse: chDB on a data directory, behind ClickHouse's own HTTP interface on loopback."""

"""Where logs rest: the write-ahead log on disk and the tables in ClickHouse."""

"""The write-ahead log of a partition: segments on disk, group commit, and their way into the store."""

"""Benchmarks: every speed claim of the documentation comes from a line printed here."""

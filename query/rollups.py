"""The tables that hold counts by time, service and level."""

from typing import Final

from query.plan.nodes import Source

ROLLUPS: Final[dict[Source, str]] = {"rollup": "logs_per_minute", "hourly rollup": "logs_per_hour"}

"""Run the embedded ClickHouse by itself: `python -m storage.embedded DATA_DIR`, until its input ends.

Its limits are those of the environment, as for the service (LOGRAY_CLICKHOUSE_…).
"""

import os
import sys
from pathlib import Path

from core.settings import load_settings
from storage.embedded.service import EmbeddedClickHouse


def main() -> None:
    """Serve a data directory; the line `ready` means that it answers."""
    service = EmbeddedClickHouse(Path(sys.argv[1]), load_settings(os.environ).clickhouse)
    print("ready", flush=True)
    # The end of the input is the end of whoever started this, in whatever way that came about.
    sys.stdin.read()
    service.close()


if __name__ == "__main__":
    main()

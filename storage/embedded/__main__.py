"""Run the embedded ClickHouse alone: `python -m storage.embedded DATA_DIR [BYTES]`, until its input ends.

BYTES is the memory that it may use, if it is not to be what it has in a service.
"""

import sys
from pathlib import Path

from core.settings import ClickHouseSettings
from storage.embedded.service import EmbeddedClickHouse


def main() -> None:
    """Serve a data directory; the line `ready` means that it answers."""
    data_dir, *memory = sys.argv[1:]
    settings = ClickHouseSettings(memory_bytes_max=int(memory[0])) if memory else None
    service = EmbeddedClickHouse(Path(data_dir), settings)
    print("ready", flush=True)
    # The end of the input is the end of whoever started this, in whatever way that came about.
    sys.stdin.read()
    service.close()


if __name__ == "__main__":
    main()

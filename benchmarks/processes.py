"""CPU seconds and memory of every process of an instance, by what the process is."""

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")
MARKER: Final = "LOGRAY_INSTANCE="


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the process began, and resident bytes."""

    cpu_s: float
    rss_bytes: int


def instance_processes(instance_id: str) -> dict[int, str]:
    """The processes that carry an instance's marker in their environment: pid → a short name."""
    wanted = f"{MARKER}{instance_id}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = _short_name((entry / "cmdline").read_bytes())
        except OSError:
            continue
    return found


def usage_by_name(instance_id: str) -> dict[str, Usage]:
    """The sum over all processes of one name."""
    totals: dict[str, Usage] = defaultdict(lambda: Usage(0.0, 0))
    for pid, name in instance_processes(instance_id).items():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
        cpu_s = (int(fields[11]) + int(fields[12])) / TICKS
        so_far = totals[name]
        totals[name] = Usage(so_far.cpu_s + cpu_s, so_far.rss_bytes + pages * os.sysconf("SC_PAGE_SIZE"))
    return dict(totals)


def _short_name(command_line: bytes) -> str:
    words = command_line.replace(b"\0", b" ").decode(errors="replace").strip()
    if words.startswith("ray::"):
        name = re.split(r"[ .(]", words[5:])[0]
        if name.startswith("ServeReplica"):
            return ":".join(words[5:].split()[0].split(":")[:3])
        return name or "ray worker"
    for known in ("haproxy", "raylet", "gcs_server", "dashboard", "log_monitor", "runtime_env", "monitor.py"):
        if known in words:
            return known
    return words.split(" ")[0].rpartition("/")[2][:30] or "?"

"""The processes of an instance: found by a variable they all inherit, and ended.

`LOGRAY_INSTANCE` stands in the environment of Ray's own processes, of every worker and of HAProxy. Unlike
process groups, parents or names it survives re-parenting and crashes, and tells two instances apart.
"""

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MARKER = "LOGRAY_INSTANCE"
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Process:
    """A running process: its id, its title as `ps` shows it, the program's name."""

    pid: int
    title: str
    program: str

    @property
    def rss_bytes(self) -> int:
        """Resident memory, shared pages included; 0 when it is gone."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


def processes_of(instance_id: str) -> list[Process]:
    """Every living process of the instance but this one."""
    wanted = f"{MARKER}={instance_id}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            environment = Path(f"/proc/{entry}/environ").read_bytes()
            if wanted in environment.split(b"\0"):
                title = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").strip()
                program = os.path.basename(os.readlink(f"/proc/{entry}/exe"))
                found.append(Process(int(entry), title.decode(errors="replace"), program))
        except OSError:
            continue  # it ended meanwhile, or belongs to another user
    return found


def send(processes: Iterable[Process], number: signal.Signals) -> None:
    """Signal those that still live."""
    for process in processes:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def stop_all(instance_id: str, grace_s: float) -> int:
    """End every process of the instance: SIGTERM, and SIGKILL after `grace_s`.

    Returns how many had to be killed. Raises TimeoutError if some cannot be (uninterruptible sleep).
    """
    send(processes_of(instance_id), signal.SIGTERM)
    if _wait_until_gone(instance_id, grace_s):
        return 0
    # Again and again: a dying parent may just have started another child.
    killed: set[int] = set()
    deadline_s = time.monotonic() + 10
    while left := processes_of(instance_id):
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"cannot end the processes {sorted(process.pid for process in left)}")
        send(left, signal.SIGKILL)
        killed.update(process.pid for process in left)
        time.sleep(POLL_S)
    return len(killed)


def _wait_until_gone(instance_id: str, seconds: float) -> bool:
    deadline_s = time.monotonic() + seconds
    while processes_of(instance_id):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True

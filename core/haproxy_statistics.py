"""What HAProxy has refused, by its own statistics.

Of the standard library alone: the program that becomes HAProxy imports it at every reload.
"""

import csv
import io
import socket
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

ANSWER_S: Final = 2.0
# HAProxy's management guide, 9.3: all proxies (-1); their frontends, backends and servers (1 + 2 + 4).
QUESTION: Final = b"show info;show stat -1 7 -1\n"
# Of a HAProxy that another takes over from, its last answer is left beside its socket under such a name.
LAST_ANSWERS: Final = "refusals-*.csv"

_FRONTEND: Final = "http_frontend"  # as Ray Serve names it
_REFUSED: Final = "logray-refused-"  # deployments/haproxy has a backend for each reason


class Reading(NamedTuple):
    """What one HAProxy process has refused since it began, by reason."""

    process: str
    refused: dict[str, int]


def ask(admin_socket: Path) -> str:
    """HAProxy's answer; takes some milliseconds, ANSWER_S at most. Raises OSError."""
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_S)
        connection.connect(str(admin_socket))
        connection.sendall(QUESTION)
        while received := connection.recv(1 << 16):
            answer += received
    return answer.decode(errors="replace")


def leave_last_answer(admin_socket: Path) -> None:
    """Keep what HAProxy has refused so far: another is about to take its place. Raises OSError."""
    answer = ask(admin_socket)
    process = read(answer).process.replace(" ", "-")
    path = admin_socket.with_name(LAST_ANSWERS.replace("*", process))
    # Whole or not at all, for whoever looks at this moment.
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(answer)
    unfinished.replace(path)


def read(answer: str) -> Reading:
    """Raises ValueError when it is not the answer of an HAProxy."""
    info, _, table = answer.partition("# pxname")
    about = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    try:
        return Reading(f"{about['Pid']} of {about['Start_time_sec']}", _refused("pxname" + table))
    except (KeyError, TypeError) as error:
        raise ValueError(f"no statistics of HAProxy: {error!r}") from None


def _refused(table: str) -> dict[str, int]:
    refused = Counter({"unavailable": 0})
    for row in csv.DictReader(io.StringIO(table)):
        proxy, part = row["pxname"], row["svname"]
        if proxy.startswith(_REFUSED):
            refused[proxy.removeprefix(_REFUSED)] += int(row["stot"])
        elif proxy == _FRONTEND:
            refused["bad_request"] += int(row["ereq"])
            refused["denied"] += int(row["dreq"])
        elif part == "BACKEND":
            # Of all answers of a backend those are HAProxy's own that none of its servers gave.
            refused["unavailable"] += int(row["hrsp_5xx"] or 0)
        elif part != "FRONTEND":
            refused["unavailable"] -= int(row["hrsp_5xx"] or 0)
    refused["unavailable"] = max(refused["unavailable"], 0)
    return dict(refused)

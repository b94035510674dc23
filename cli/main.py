"""The `logray` command."""

import argparse
import importlib.metadata
import os
import sys
from pathlib import Path

from core.errors import LograyError, SettingsError

DESCRIPTION = """\
Logray collects logs over HTTP and TCP, keeps them durably and searches them.

  logray up        start, wait until ready, print addresses and the API key
  logray status    what runs: processes, ports, backlog
  logray down      stop, leaving no process behind
"""
EPILOG = """\
settings come from logray.yaml in this directory (or --config FILE) and from variables, which win:
  LOGRAY_HTTP_HOST       address of the HTTP API (127.0.0.1)
  LOGRAY_HTTP_PORT       its port (8080)
  LOGRAY_TCP_PORT        port for syslog and JSON lines, 0 for none (5514)
  LOGRAY_DATA_DIR        where everything is kept (./data); one directory is one instance
  LOGRAY_API_KEY         the key for clients (generated once, kept in the data directory)
  LOGRAY_CLICKHOUSE_URL  https://user:password@host:8443/database (an embedded ClickHouse)

exit codes: 0 done or running, 1 it failed, 2 a wrong setting or argument, 3 (status) it is stopped
"""
EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def build_parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        prog="logray",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="up|down|status|version")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", type=Path, metavar="FILE", help="settings file (logray.yaml here)")
    up = commands.add_parser("up", parents=[shared], help="start and wait until ready")
    down = commands.add_parser("down", parents=[shared], help="stop")
    for command in (up, down):
        command.add_argument(
            "--ray-address",
            metavar="ADDRESS",
            help="use this Ray cluster (`auto`: the one on this machine) instead of starting Ray",
        )
    status = commands.add_parser("status", parents=[shared], help="show what runs")
    status.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("version", help="print the version")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = build_parser().parse_args(arguments)
    try:
        return _run(options)
    except SettingsError as error:
        print(f"logray: {error}", file=sys.stderr)
        return EXIT_USAGE
    except (LograyError, TimeoutError) as error:
        print(f"logray: {error}", file=sys.stderr)
        return EXIT_FAILED
    except BrokenPipeError:  # `logray status | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("logray: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    # Imported late: `--help` and `version` answer at once.
    if options.command == "version":
        print(importlib.metadata.version("logray"))
        return 0
    from core.settings import process_settings

    settings = process_settings(options.config)
    if options.command == "up":
        from cli.up import up

        return up(settings, options.ray_address, _say)
    if options.command == "down":
        from cli.down import down

        return down(settings, _say)
    from cli.status import status

    return status(settings, options.json, _say)


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

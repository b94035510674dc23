"""`logray up`: start an instance and wait until it is ready, or say why not and leave nothing behind."""

import json
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from cli.api_key import load_or_create_api_key, with_api_key
from cli.down import clean_up
from cli.environment import HeadPorts, choose_head_ports, instance_environment, source_root
from cli.instance import Instance, InstanceFiles, LaunchError
from cli.launch import Order
from cli.ports import require_free
from cli.probe import base_url, probe
from cli.processes import processes_of
from core.settings import Settings

Say = Callable[[str], None]

START_WITHIN_S = 180.0  # the first start on a slow machine; a healthy one takes a tenth
ANSWER_WITHIN_S = 10.0
ASK_AGAIN_S = 0.1  # nothing tells from outside when it is ready
LOG_TAIL_LINES = 25
PHASES = {
    "ray": "Ray is up",
    "imports": "the service's code is loaded",
    "deployed": "actors and HTTP deployments are up",
}


def up(settings: Settings, ray_address: str | None, say: Say) -> int:
    """Start the instance of the settings' data directory; 0 when it is ready or was running already.

    Raises LaunchError with the reason; then nothing of it runs.
    """
    files = InstanceFiles(settings.data_dir)
    with files.locked():
        if _is_running(settings, files, say):
            return 0
        clean_up(files, say)
        require_free(settings.http.host, settings.http.port, "http.port")
        if settings.tcp.port:
            require_free(settings.tcp.host, settings.tcp.port, "tcp.port")
        if settings.tls.enabled:
            require_free(settings.tls.host, settings.tls.port, "tls.port")
        start = _Start(with_api_key(settings), files, ray_address, say)
        try:
            start.run()
        except BaseException:
            say("stopping what was started")
            start.abandon()
            raise
    return 0


def _is_running(settings: Settings, files: InstanceFiles, say: Say) -> bool:
    instance = files.read()
    if instance is None or not (instance.existing_cluster or processes_of(files.id)):
        return False
    url = base_url(instance.http)
    if probe(url + "/healthz", ANSWER_WITHIN_S).status != 200:
        say("the last run did not end properly")
        return False
    say(f"Logray is already running at {url}")
    readiness = probe(url + "/readyz", ANSWER_WITHIN_S, load_or_create_api_key(settings))
    if readiness.status != 200:
        say(f"it is not ready: {readiness.reason}")
    say("")
    _say_addresses(settings, files, instance, say)
    return True


@dataclass(slots=True)
class _Start:
    """One attempt."""

    settings: Settings
    files: InstanceFiles
    ray_address: str | None
    say: Say
    child: subprocess.Popen[bytes] | None = None
    record: Instance | None = None

    def run(self) -> None:
        began_s = time.monotonic()
        deadline_s = began_s + START_WITHIN_S
        self.say(f"starting Logray in {self.files.data_dir}")
        self._record(ray_address=self.ray_address or "")
        events = self._launch()
        while True:
            try:
                event = events.get(timeout=max(0.0, deadline_s - time.monotonic()))
            except queue.Empty:
                raise self._failure(f"it took more than {START_WITHIN_S:.0f} s") from None
            if event is None:
                break
            self._progress(began_s, PHASES[event["phase"]])
            if event["phase"] == "ray":
                self._record(event["ray_address"], event["dashboard"], event["session_dir"])
                self._link_logs()
        assert self.child is not None
        if self.child.wait() != 0:
            raise self._failure(_last_line(self.files.launch_log) or f"exit code {self.child.returncode}")
        self._wait_until_ready(deadline_s)
        self._progress(began_s, "ready")
        self.say("")
        assert self.record is not None
        _say_addresses(self.settings, self.files, self.record, self.say)

    def abandon(self) -> None:
        """End the child and everything that it started."""
        if self.child is not None and self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        if self.ray_address is None:
            clean_up(self.files, lambda _: None)
        else:
            self.say("what is deployed in the Ray cluster stays: `logray down` removes it")

    def _launch(self) -> "queue.Queue[dict[str, Any] | None]":
        ports: HeadPorts | None = None
        environment = dict(os.environ)
        if self.ray_address is None:
            ports = choose_head_ports(self.settings)
            self.files.make_temporary_dir()
            environment = instance_environment(os.environ, self.settings, self.files, ports)
        order = Order(self.settings, ports, str(self.files.temporary_dir), self.ray_address)
        with self.files.launch_log.open("wb") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "cli.launch"],
                cwd=source_root(),
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                # Ctrl-C in the terminal is for `logray up`, never for the service.
                start_new_session=True,
            )
        assert self.child.stdin is not None
        assert self.child.stdout is not None
        with self.child.stdin as stdin:
            pickle.dump(order, stdin)
        events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=_read_events, args=(self.child.stdout, events), daemon=True).start()
        return events

    def _record(self, ray_address: str, dashboard: str | None = None, session_dir: str | None = None) -> None:
        tcp = self.settings.tcp
        self.record = Instance(
            id=self.files.id,
            started_at_s=time.time(),
            http=f"{self.settings.http.host}:{self.settings.http.port}",
            tcp=f"{tcp.host}:{tcp.port}" if tcp.port else None,
            ray_address=ray_address,
            dashboard=dashboard,
            session_dir=session_dir,
            existing_cluster=self.ray_address is not None,
        )
        self.files.write(self.record)

    def _link_logs(self) -> None:
        if self.record is None or self.record.session_dir is None:
            return
        self.files.current_logs.unlink(missing_ok=True)
        self.files.current_logs.symlink_to(Path(self.record.session_dir) / "logs")

    def _wait_until_ready(self, deadline_s: float) -> None:
        url = base_url(f"{self.settings.http.host}:{self.settings.http.port}") + "/readyz"
        key = load_or_create_api_key(self.settings)  # bound to the network, it is not told to everyone
        while (answer := probe(url, ANSWER_WITHIN_S, key)).status != 200:
            if time.monotonic() > deadline_s:
                raise self._failure(f"not ready within {START_WITHIN_S:.0f} s: {answer.reason}")
            time.sleep(ASK_AGAIN_S)

    def _progress(self, began_s: float, what: str) -> None:
        self.say(f"  {time.monotonic() - began_s:5.1f} s  {what}")

    def _failure(self, reason: str) -> LaunchError:
        tail = "\n".join(f"  | {line}" for line in _tail(self.files.launch_log, LOG_TAIL_LINES))
        return LaunchError(f"cannot start: {reason}\nlast lines of {self.files.launch_log}:\n{tail}")


def _read_events(stream: IO[bytes], events: "queue.Queue[dict[str, Any] | None]") -> None:
    for line in stream:
        # Libraries may print to standard output as well.
        if line.startswith(b'{"phase"'):
            events.put(json.loads(line))
    events.put(None)


def _tail(path: Path, lines: int) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _last_line(path: Path) -> str:
    return next((line.strip() for line in reversed(_tail(path, 50)) if line.strip()), "")


def _say_addresses(settings: Settings, files: InstanceFiles, instance: Instance, say: Say) -> None:
    url = base_url(instance.http)
    say(f"HTTP           {url}")
    say(f"TCP (syslog)   {instance.tcp or 'off'}")
    say(f"Ray dashboard  {f'http://{instance.dashboard}' if instance.dashboard else 'off'}")
    say(f"logs           {files.current_logs if instance.session_dir else files.logs_dir}")
    say(f"API key        export API_KEY={load_or_create_api_key(settings)}")
    say("")
    say("next, send a log and find it again:")
    say(f"""  curl -X POST {url}/api/v1/logs -H "Authorization: Bearer $API_KEY" \\""")
    say("""    -H "Content-Type: application/json" -d '[{"timestamp": '$(date +%s)', "message": "hello"}]'""")
    say(f"""  curl -X POST {url}/api/v1/search -H "Authorization: Bearer $API_KEY" \\""")
    say("""    -H "Content-Type: application/json" -d '{"query": "hello"}'""")

"""The actors of rules as the alert supervisor sees them: asked all at once, ended, killed when they hang."""

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError

from actors.placement import ALERT_RULE_PREFIX, NAMESPACE
from alerts.order import RuleOrder

ACTOR_TITLE: Final = b"AlertRuleActor"  # in the title that Ray gives to the process


@dataclass(slots=True)
class Post:
    """A rule's actor: how often it was silent, when it may be started again, what it said last."""

    handle: "ActorHandle[Any]"
    order: RuleOrder
    started_at_s: float
    heard: bool = False
    silences: int = 0
    pid: int = 0
    node: str = ""
    evaluations: int = 0
    failures: int = 0
    status: str = "starting"


async def ask_all(handles: "dict[str, ActorHandle[Any]]", method: str, timeout_s: float) -> dict[str, Any]:
    """Every actor's answer, or the exception that came instead of it."""

    async def one(handle: "ActorHandle[Any]") -> Any:
        return await asyncio.wait_for(getattr(handle, method).remote(), timeout_s)

    answers = await asyncio.gather(*map(one, handles.values()), return_exceptions=True)
    return dict(zip(handles, answers, strict=True))


def rule_actor_names() -> list[str]:
    """All that Ray knows, whoever started them."""
    named = ray.util.list_named_actors(all_namespaces=True)
    return [
        each["name"]
        for each in named
        if each["namespace"] == NAMESPACE and each["name"].startswith(ALERT_RULE_PREFIX)
    ]


def end(handle: "ActorHandle[Any]") -> None:
    """For good."""
    ray.kill(handle, no_restart=True)


def kill(post: Post) -> None:
    """End a process that does not answer; Ray starts it again. One that is stopped does not hear Ray's own
    request.
    """
    if post.node == ray.get_runtime_context().get_node_id():
        with suppress(OSError):
            # The number may be another process's by now.
            if ACTOR_TITLE in Path(f"/proc/{post.pid}/cmdline").read_bytes():
                os.kill(post.pid, signal.SIGKILL)
                return
    with suppress(RayError):
        ray.kill(post.handle, no_restart=False)

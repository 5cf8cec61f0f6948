"""The result of a health check, and the parts of an object that all checks read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from receiver.kubernetes.objects import Object


@dataclass(frozen=True, slots=True)
class Health:
    """The health of an object, in Argo CD's words.

    Attributes:
        status: ``Healthy``; ``Degraded``, and not expected to recover by itself; else it may
            become healthy.
        message: why it is not healthy.
    """

    status: Literal["Healthy", "Progressing", "Degraded", "Suspended"]
    message: str = ""


HEALTHY = Health("Healthy")


def progressing(message: str) -> Health:
    """Return the health of what is on its way."""
    return Health("Progressing", message)


def degraded(message: str) -> Health:
    """Return the health of what has failed."""
    return Health("Degraded", message)


def group_of(found: Object) -> str:
    """Return the group of an object's kind, "" for that of Pods and Services."""
    group, slash, _ = str(found.get("apiVersion") or "").partition("/")
    return group if slash else ""


def spec_of(found: Object) -> dict[str, Any]:
    """Return its spec, {} without one."""
    return found.get("spec") or {}


def status_of(found: Object) -> dict[str, Any]:
    """Return its status, {} without one."""
    return found.get("status") or {}


def conditions(found: Object) -> list[dict[str, Any]]:
    """Return its conditions, none where it has none yet."""
    listed = status_of(found).get("conditions")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def is_seen(found: Object) -> bool:
    """Whether its controller has seen the object as it is now."""
    seen: int = status_of(found).get("observedGeneration") or 0
    generation: int = found["metadata"].get("generation") or 0
    return seen >= generation

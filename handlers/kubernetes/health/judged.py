"""What a judgement is, and the parts of an object that all of them read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from handlers.kubernetes.client import Object


@dataclass(frozen=True, slots=True)
class Health:
    """How an object is, in Argo CD's words.

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
    """Return what is wanted."""
    return found.get("spec") or {}


def status_of(found: Object) -> dict[str, Any]:
    """Return what is."""
    return found.get("status") or {}


def conditions(found: Object) -> list[dict[str, Any]]:
    """Return its conditions, none where it has none yet."""
    told = status_of(found).get("conditions")
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def is_seen(found: Object) -> bool:
    """Whether its controller has seen the object as it is now."""
    seen: int = status_of(found).get("observedGeneration") or 0
    generation: int = found["metadata"].get("generation") or 0
    return seen >= generation

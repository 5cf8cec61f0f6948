"""The result of a health check, and the parts of an object that all checks read."""

from __future__ import annotations

import re
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
DIGITS = re.compile(r"[0-9]{1,19}")
"""A generation as a text: an int of 64 bits has at most 19 digits."""


def progressing(message: str) -> Health:
    """Return the health of what is on its way."""
    return Health("Progressing", message)


def degraded(message: str) -> Health:
    """Return the health of what has failed."""
    return Health("Degraded", message)


UNSEEN = progressing("its controller has not seen it yet")


def group_of(found: Object) -> str:
    """Return the group of an object's kind, "" for that of Pods and Services."""
    group, slash, _ = str(found.get("apiVersion") or "").partition("/")
    return group if slash else ""


def mapping(tree: Object, key: str) -> dict[str, Any]:
    """Return what stands under a key, {} if that is no mapping: a custom resource has anything."""
    value = tree.get(key)
    return value if isinstance(value, dict) else {}


def mappings(tree: Object, key: str) -> list[dict[str, Any]]:
    """Return the mappings of a list, none if it is no list."""
    value = tree.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def number(tree: Object, key: str) -> int | None:
    """Return a whole number, also where a text has it; None if it is none."""
    value = tree.get(key)
    if isinstance(value, str) and DIGITS.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def spec_of(found: Object) -> dict[str, Any]:
    """Return its spec, {} without one."""
    return mapping(found, "spec")


def status_of(found: Object) -> dict[str, Any]:
    """Return its status, {} without one."""
    return mapping(found, "status")


def conditions(found: Object) -> list[dict[str, Any]]:
    """Return its conditions, none where it has none yet."""
    return mappings(status_of(found), "conditions")


def generation_of(found: Object) -> int:
    """Return which version of its spec an object has, 0 where that is not counted."""
    return number(mapping(found, "metadata"), "generation") or 0


def is_seen(found: Object) -> bool:
    """Whether its controller has seen the object as it is now."""
    return (number(status_of(found), "observedGeneration") or 0) >= generation_of(found)

"""Applications and Rollouts: as Argo CD's controller, and that of Argo Rollouts, judge them.

https://github.com/argoproj/argo-cd/tree/master/resource_customizations/argoproj.io; a Rollout's
phase is what the controller makes of the same fields.
"""

from __future__ import annotations

from receiver.kubernetes.health.result import (
    HEALTHY,
    UNSEEN,
    Health,
    degraded,
    generation_of,
    mapping,
    number,
    progressing,
    status_of,
)
from receiver.kubernetes.objects import Object


def application(found: Object) -> Health:
    """Check an Application, as one of Applications is."""
    told = mapping(status_of(found), "health")
    word, message = told.get("status"), str(told.get("message") or "")
    if not word:
        return progressing("it has not been reconciled yet")
    return _by_word(str(word), message) or progressing(f"its health is {word}: {message}")


def rollout(found: Object) -> Health:
    """Check a Rollout; its observedGeneration is a text, before version 1.0 not of a number."""
    status = status_of(found)
    seen = number(status, "observedGeneration")
    if "observedGeneration" not in status or (seen is not None and seen != generation_of(found)):
        return UNSEEN
    phase, message = str(status.get("phase") or ""), str(status.get("message") or "")
    word = "Suspended" if phase == "Paused" else phase
    return _by_word(word, message) or progressing(f"its phase is {phase or 'not known yet'}")


def _by_word(word: str, message: str) -> Health | None:
    if word == "Suspended":
        return Health("Suspended", message)
    made = {"Degraded": degraded, "Progressing": progressing}.get(word)
    return HEALTHY if word == "Healthy" else made(message) if made else None

"""Volumes: healthy when they are bound."""

from __future__ import annotations

from handlers.kubernetes.client import Object
from handlers.kubernetes.health.result import HEALTHY, Health, degraded, progressing, status_of


def volume_claim(found: Object) -> Health:
    """Check a PersistentVolumeClaim."""
    phase = status_of(found).get("phase")
    if phase == "Bound":
        return HEALTHY
    return degraded("its volume is lost") if phase == "Lost" else progressing("it is not bound yet")

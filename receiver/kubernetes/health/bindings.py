"""Services, Ingresses and volume claims: healthy when they have their address or volume."""

from __future__ import annotations

from receiver.kubernetes.health.result import (
    HEALTHY,
    Health,
    degraded,
    mapping,
    progressing,
    spec_of,
    status_of,
)
from receiver.kubernetes.objects import Object

WAITING = progressing("its load balancer has no address yet")


def service(found: Object) -> Health:
    """Check a Service: one that is no LoadBalancer has nothing to wait for."""
    return HEALTHY if spec_of(found).get("type") != "LoadBalancer" else ingress(found)


def ingress(found: Object) -> Health:
    """Check an Ingress."""
    balancer = mapping(status_of(found), "loadBalancer")
    return HEALTHY if balancer.get("ingress") else WAITING


def volume_claim(found: Object) -> Health:
    """Check a PersistentVolumeClaim."""
    phase = status_of(found).get("phase")
    if phase == "Bound":
        return HEALTHY
    return degraded("its volume is lost") if phase == "Lost" else progressing("it is not bound yet")

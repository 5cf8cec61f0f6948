"""What leads into a cluster: healthy when it has an address there."""

from __future__ import annotations

from handlers.kubernetes.client import Object
from handlers.kubernetes.health.judged import HEALTHY, Health, progressing, spec_of, status_of

WAITING = progressing("its load balancer has no address yet")


def service(found: Object) -> Health:
    """Judge a Service: one that is no LoadBalancer has nothing to wait for."""
    return HEALTHY if spec_of(found).get("type") != "LoadBalancer" else ingress(found)


def ingress(found: Object) -> Health:
    """Judge an Ingress."""
    balancer = status_of(found).get("loadBalancer") or {}
    return HEALTHY if balancer.get("ingress") else WAITING

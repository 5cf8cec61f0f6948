"""Services and Ingresses: healthy when their load balancer has an address."""

from __future__ import annotations

from handlers.kubernetes.client import Object
from handlers.kubernetes.health.result import HEALTHY, Health, progressing, spec_of, status_of

WAITING = progressing("its load balancer has no address yet")


def service(found: Object) -> Health:
    """Check a Service: one that is no LoadBalancer has nothing to wait for."""
    return HEALTHY if spec_of(found).get("type") != "LoadBalancer" else ingress(found)


def ingress(found: Object) -> Health:
    """Check an Ingress."""
    balancer = status_of(found).get("loadBalancer") or {}
    return HEALTHY if balancer.get("ingress") else WAITING

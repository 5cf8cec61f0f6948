"""`kubernetes.wait`: wait until a condition over an object holds, or it is healthy."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from handlers.kubernetes.client import Api
from handlers.kubernetes.object_dry_run import dry_run_kind
from handlers.kubernetes.object_expressions import CEL_NAME, OnVisible, condition_holds
from handlers.kubernetes.objects import complete, identity, locate
from handlers.kubernetes.tenancy import object_in_namespace
from receiver.contract import (
    Call,
    Cel,
    Duration,
    Handler,
    Outcome,
    Pending,
    PermanentError,
    Succeeded,
)
from receiver.core.errors import ExpressionError
from receiver.kubernetes.health import health
from receiver.kubernetes.objects import Object

__all__ = ["handler"]


class KubernetesWait(OnVisible):
    """For what is waited."""

    until: Annotated[str, Cel(CEL_NAME)] | None = Field(
        default=None,
        description="CEL: whether it is what it should be, for example "
        "`object.status.phase == 'Ready'`; what cannot be evaluated yet does not hold yet. "
        "By default it is waited until the object is healthy, as Argo CD judges it.",
    )
    failed: Annotated[str, Cel(CEL_NAME)] | None = Field(
        default=None,
        description="CEL: whether it has failed, for good. It is asked first. By default nothing "
        "is a failure for `until`; without `until`, what Argo CD calls degraded is.",
    )
    every: Duration = Field(default=5.0, ge=1, description="Time between two lookings at it.")


def run(params: KubernetesWait, call: Call) -> Outcome:
    """Check it once; the state has its path, and why it is waited for."""
    api = Api.of(params.cluster, call)
    state: dict[str, Any] = call.state if isinstance(call.state, dict) else {}
    path = state.get("path") or locate(api, params.object_)[1]
    found = api.find(path)
    why = "it is not there yet" if found is None else _why_not(params, call, found)
    if found is not None and not why:
        return Succeeded(identity(found))
    why = call.mask(why)
    if why != state.get("why"):
        call.say(f"waiting for {params.object_}: {why}")
    return Pending({"path": path, "why": why}, params.every, why)


def _why_not(params: KubernetesWait, call: Call, found: Object) -> str:
    """Return why it is waited on, "" when it is what it should be.

    Raises:
        PermanentError: it has failed.
    """
    if params.failed is not None and _holds(params.failed, call, "failed", found)[0]:
        raise PermanentError(f"{params.object_} has failed: {params.failed}")
    if params.until is not None:
        done, why = _holds(params.until, call, "until", found)
        return "" if done else why
    found_health = health(found)
    if found_health.status == "Degraded" and params.failed is None:
        raise PermanentError(f"{params.object_} is degraded: {call.mask(found_health.message)}")
    return (
        "" if found_health.status == "Healthy" else f"{found_health.status}, {found_health.message}"
    )


def _holds(source: str, call: Call, place: str, found: Object) -> tuple[bool, str]:
    """Return whether a condition holds, and why not; a missing field may come later."""
    try:
        return condition_holds(call, place, source, found), f"{place} does not hold"
    except ExpressionError as error:
        return False, f"{place} cannot be evaluated yet: {error.message}"


EXAMPLE = """\
object: {apiVersion: cert-manager.io/v1, kind: Certificate, namespace: shop, name: shop}
until: object.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True')
every: 10s
"""

handler = Handler(
    name="kubernetes.wait",
    summary="Wait until an object is healthy, or a condition over it holds.",
    params=KubernetesWait,
    run=run,
    example=EXAMPLE,
    confine=object_in_namespace,
    dry_run=dry_run_kind,
    complete=complete,
    permissions="`get` on the kind. See [kubernetes.md](kubernetes.md#rights).",
    output="`apiVersion`, `kind`, `namespace`, `name`, `uid`, `generation`, `resourceVersion`.",
    errors="An object that is not there is waited for, until the rule's `deadline`. "
    "See [kubernetes.md](kubernetes.md#what-refusals-mean).",
)

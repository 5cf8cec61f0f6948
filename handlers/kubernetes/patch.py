"""`kubernetes.patch`: change some fields of an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from handlers.kubernetes.client import Api
from handlers.kubernetes.object_dry_run import dry_run_kind
from handlers.kubernetes.objects import OnObject, complete, identity, locate
from handlers.kubernetes.tenancy import as_service_account, has_own_cluster, object_in_namespace
from receiver.contract import (
    Call,
    Finding,
    Handler,
    Outcome,
    PermanentError,
    Succeeded,
    Tenant,
    wrong_shape,
)
from receiver.kubernetes.api_errors import Refused

__all__ = ["handler"]

CONTENT_TYPES: Mapping[str, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
UNSUPPORTED = 415


class KubernetesPatch(OnObject):
    """What is changed, and how it is written."""

    type: Literal["merge", "strategic", "json"] = Field(
        default="merge",
        description="How the patch is written, as with `kubectl patch --type`: `merge` (RFC 7386), "
        "`strategic` (lists are merged by their keys; not for custom resources) or `json` "
        "(RFC 6902).",
    )
    patch: dict[str, Any] | list[dict[str, Any]] = Field(
        description="The patch: a mapping, or a list of operations for `json`."
    )

    @model_validator(mode="after")
    def of_its_type(self) -> KubernetesPatch:
        """Refuse a patch that is written in another way than it says."""
        if isinstance(self.patch, list) != (self.type == "json"):
            raise wrong_shape("the patch is a list of operations for type: json, else a mapping")
        return self


def run(params: KubernetesPatch, call: Call) -> Outcome:
    """Send the patch."""
    api = Api.of(params.cluster, call)
    _, path = locate(api, params.object_)
    try:
        return Succeeded(identity(api.patch(path, params.patch, CONTENT_TYPES[params.type])))  # type: ignore[arg-type] # JSON, as it was read
    except Refused as error:
        if error.status != UNSUPPORTED:
            raise
        raise PermanentError(
            error.message, hint="custom resources take type: merge and type: json"
        ) from None


def confine(parameters: Mapping[str, Any], tenant: Tenant) -> Iterator[Finding]:
    """Find another namespace than the tenant's, and pods that run as another service account."""
    yield from object_in_namespace(parameters, tenant)
    if not has_own_cluster(parameters):
        yield from as_service_account(parameters.get("patch"), tenant, ("patch",))


EXAMPLE = """\
object: {apiVersion: apps/v1, kind: Deployment, namespace: shop, name: worker}
patch: {spec: {replicas: 2}}
"""

handler = Handler(
    name="kubernetes.patch",
    summary="Change some fields of an object, as `kubectl patch` does.",
    params=KubernetesPatch,
    run=run,
    example=EXAMPLE,
    dry_run=dry_run_kind,
    confine=confine,
    complete=complete,
    permissions="`patch` on the kind. See [kubernetes.md](kubernetes.md#rights).",
    output="`apiVersion`, `kind`, `namespace`, `name`, `uid`, `generation`, `resourceVersion`.",
    errors="A 409 is tried again. After a crash the patch may be sent twice: let a `json` patch "
    "be one that may. See [kubernetes.md](kubernetes.md#what-refusals-mean).",
)

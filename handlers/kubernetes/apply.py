"""`kubernetes.apply`: bring an object to what a manifest says, by server-side apply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field, model_validator

from handlers.kubernetes.client import FIELD_MANAGER, Api
from handlers.kubernetes.cluster import OnCluster
from handlers.kubernetes.dry_run import open_cluster
from handlers.kubernetes.object_dry_run import FORCE, dry_run_apply
from handlers.kubernetes.objects import identity, kind_of
from handlers.kubernetes.tenancy import as_service_account, has_own_cluster, in_namespace
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

APPLY = "application/apply-patch+yaml"


class KubernetesApply(OnCluster):
    """What is applied, and as whom."""

    manifest: dict[str, Any] = Field(
        description="The manifest of one object: its `apiVersion`, `kind`, `metadata.name`, "
        "`metadata.namespace` (for a kind that is in one), and the fields that shall be as it says."
    )
    force: bool = Field(
        default=False,
        description="Take over fields that another manager has set to something else, instead of "
        "failing.",
    )
    field_manager: str = Field(
        default=FIELD_MANAGER,
        pattern=r"^[!-~]{1,128}$",
        description="Who applies. What the same manager applied to the object before, and does "
        "not any more, is removed: two actions that apply parts of one object need one each.",
    )

    @model_validator(mode="after")
    def one_object(self) -> KubernetesApply:
        """Refuse a manifest that names nothing."""
        metadata = self.manifest.get("metadata")
        missing = [name for name in ("apiVersion", "kind") if not self.manifest.get(name)]
        if not metadata or (isinstance(metadata, dict) and not metadata.get("name")):
            missing.append("metadata.name")
        if missing:
            raise wrong_shape(f"the manifest has no {' and no '.join(missing)}")
        return self


def run(params: KubernetesApply, call: Call) -> Outcome:
    """Apply it; the same apply again changes nothing."""
    api = Api.of(params.cluster, call)
    manifest, metadata = params.manifest, params.manifest["metadata"]
    if not isinstance(metadata, dict):
        raise PermanentError("metadata of the manifest is no mapping")
    kind = kind_of(api, str(manifest["apiVersion"]), None, str(manifest["kind"]))
    path = kind.path(str(metadata.get("namespace") or ""), str(metadata["name"]))
    try:
        return Succeeded(identity(api.patch(path, manifest, APPLY, _query(params))))
    except Refused as error:
        if not error.of_fields:
            raise
        raise PermanentError(error.message, hint=FORCE) from None


def dry_run(params: KubernetesApply, call: Call) -> Sequence[Finding]:
    """Ask the API server whether it would take the manifest."""
    api = open_cluster(params.cluster, call)
    return dry_run_apply(api, params.manifest, _query(params), APPLY)


def confine(parameters: Mapping[str, Any], tenant: Tenant) -> Iterator[Finding]:
    """Find another namespace than the tenant's, and pods that run as another service account."""
    yield from in_namespace(parameters, tenant, ("manifest", "metadata", "namespace"))
    if not has_own_cluster(parameters):
        yield from as_service_account(parameters.get("manifest"), tenant, ("manifest",))


def _query(params: KubernetesApply) -> dict[str, str]:
    return {"fieldManager": params.field_manager, "force": str(params.force).lower()}


EXAMPLE = """\
manifest:
  apiVersion: v1
  kind: ConfigMap
  metadata: {namespace: shop, name: last-release}
  data: {revision: "${{ sync.revision }}", finishedAt: "${{ sync.finishedAt }}"}
"""

handler = Handler(
    name="kubernetes.apply",
    summary="Apply a manifest, as `kubectl apply --server-side` does.",
    params=KubernetesApply,
    run=run,
    example=EXAMPLE,
    dry_run=dry_run,
    confine=confine,
    permissions="`patch` on the kind, and `create` for an object that is not there yet. "
    "See [kubernetes.md](kubernetes.md#rights).",
    output="`apiVersion`, `kind`, `namespace`, `name`, `uid`, `generation`, `resourceVersion`.",
    errors="A 409 of another field manager is final, and names the manager and its fields; any "
    "other 409 is tried again. See [kubernetes.md](kubernetes.md#what-refusals-mean).",
)

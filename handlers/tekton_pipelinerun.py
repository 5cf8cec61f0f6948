"""`tekton.pipelinerun`: run a Tekton Pipeline, and wait for its end.

https://tekton.dev/docs/pipelines/pipelineruns/: its condition `Succeeded` is `True` or `False` at
the end, and `Unknown` before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Annotated, Any

from pydantic import Field, model_validator

from handlers.kubernetes.client import Api
from handlers.kubernetes.cluster import OnCluster
from handlers.kubernetes.dry_run import dry_run_create, dry_run_findings, open_cluster
from handlers.kubernetes.objects import Kind
from handlers.kubernetes.run_labels import complete
from handlers.kubernetes.run_objects import (
    create_once,
    mapping_at,
    require_created,
    run_metadata,
    run_state,
)
from receiver.contract import (
    Call,
    Duration,
    Finding,
    Handler,
    Json,
    Outcome,
    Pending,
    PermanentError,
    Sent,
    Succeeded,
    needs,
    wrong_shape,
)
from receiver.kubernetes.objects import Object

PIPELINE_RUN = Kind("tekton.dev/v1", "PipelineRun", "pipelineruns", namespaced=True)
MESSAGE_LENGTH = 500
"""Characters of its message that are kept."""
GONE = "somebody, or a pruner, has deleted it"


class TektonPipelineRun(OnCluster):
    """Which Pipeline, and what it gets."""

    namespace: str = Field(min_length=1, description="Namespace of the PipelineRun.")
    pipeline: str | None = Field(
        default=None, min_length=1, description="Name of a Pipeline in that namespace."
    )
    manifest: dict[str, Any] | None = Field(
        default=None,
        description="Instead of `pipeline`: the manifest of a PipelineRun, with a resolver or "
        "workspaces for example; `apiVersion` and `kind` may be left out. Its name, or "
        "generateName, is where the name begins.",
    )
    params: Annotated[dict[str, str], Sent()] = Field(
        default={}, description="Parameters of the Pipeline; those of the manifest stay."
    )
    service_account: str | None = Field(
        default=None, description="Service account that its tasks run as."
    )
    labels: dict[str, str] = Field(default={}, description="Further labels of the PipelineRun.")
    annotations: dict[str, str] = Field(
        default={}, description="Further annotations of the PipelineRun."
    )
    wait: bool = Field(default=True, description="Succeed only when it has succeeded.")
    every: Duration = Field(default=10.0, ge=2, description="Time between two lookings at it.")

    @model_validator(mode="after")
    def one_source(self) -> TektonPipelineRun:
        """Refuse no source and two."""
        if (self.pipeline is None) == (self.manifest is None):
            raise wrong_shape("give pipeline or manifest, one of them")
        return self


def run(params: TektonPipelineRun, call: Call) -> Outcome:
    """Create the PipelineRun, or check how it is getting on."""
    api = Api.of(params.cluster, call)
    if call.state is not None:
        return _outcome(params, call, require_created(api, PIPELINE_RUN, call.state, GONE))
    state = run_state(create_once(api, PIPELINE_RUN, _manifest(params, api, params.namespace)))
    return Pending(state, params.every) if params.wait else Succeeded(state)


def dry_run(params: TektonPipelineRun, call: Call) -> Sequence[Finding]:
    """Ask the API server, and Tekton's webhook through it, whether it would be taken."""
    api = open_cluster(params.cluster, call)
    try:
        manifest = _manifest(params, api, params.namespace)
    except PermanentError as error:
        return [Finding(("manifest",), error.message, error.hint)]
    send = dry_run_create(api, PIPELINE_RUN.path(params.namespace), manifest)
    at = () if params.manifest is None else ("manifest",)
    return dry_run_findings(send, params.manifest, at)


def _manifest(params: TektonPipelineRun, api: Api, namespace: str) -> Object:
    tree = deepcopy(params.manifest) or {"spec": {"pipelineRef": {"name": params.pipeline}}}
    kind = (tree.get("apiVersion", PIPELINE_RUN.api_version), tree.get("kind", PIPELINE_RUN.name))
    if kind != (PIPELINE_RUN.api_version, PIPELINE_RUN.name):
        raise PermanentError(f"the manifest is a {kind[1]} of {kind[0]}, not a PipelineRun of v1")
    spec = mapping_at(tree, "spec")
    own = spec.get("params") or []
    names = {one.get("name") for one in own if isinstance(one, dict)}
    given = [{"name": k, "value": v} for k, v in params.params.items() if k not in names]
    spec["params"] = [*given, *own]
    if params.service_account is not None:
        mapping_at(spec, "taskRunTemplate")["serviceAccountName"] = params.service_account
    metadata = run_metadata(
        mapping_at(tree, "metadata"), api, namespace, params.labels, params.annotations,
        prefix=params.pipeline or "postsync",
    )  # fmt: skip
    return {
        "apiVersion": PIPELINE_RUN.api_version, "kind": PIPELINE_RUN.name, "metadata": metadata,
        "spec": spec,
    }  # fmt: skip


def _outcome(params: TektonPipelineRun, call: Call, found: Object) -> Outcome:
    status = found.get("status") or {}
    conditions = status.get("conditions") or []
    condition: Object = next((one for one in conditions if one.get("type") == "Succeeded"), {})
    if condition.get("status") == "False":
        why = call.mask(f"{condition.get('reason')}: {condition.get('message')}")[:MESSAGE_LENGTH]
        raise PermanentError(f"PipelineRun {params.namespace}/{call.state['name']} failed: {why}")
    if condition.get("status") != "True":
        return Pending(call.state, params.every)
    return Succeeded({
        "namespace": params.namespace,
        "name": call.state["name"],
        "reason": str(condition.get("reason") or ""),
        "message": call.mask(str(condition.get("message") or ""))[:MESSAGE_LENGTH],
        "results": _results(status),
    })  # fmt: skip


def _results(status: Mapping[str, Any]) -> dict[str, Json]:
    results = status.get("results") or []
    return {str(one["name"]): one.get("value") for one in results}


EXAMPLE = """\
namespace: shop
pipeline: smoke-test
params: {image: "${{ resource.images[0] }}"}
"""

handler = Handler(
    name="tekton.pipelinerun",
    summary="Run a Tekton Pipeline, and wait for its end.",
    params=TektonPipelineRun,
    run=run,
    example=EXAMPLE,
    confine=needs("cluster"),
    complete=complete,
    dry_run=dry_run,
    permissions="`create` and `get` on `pipelineruns` (tekton.dev) in that namespace. "
    "See [kubernetes.md](kubernetes.md#rights).",
    output="`namespace`, `name`, `reason`, `message` and `results`; without `wait`, `namespace`, "
    "`name`, `uid`.",
    errors="One whose condition `Succeeded` is `False`, or that is gone before it was seen to "
    "end, fails the run.",
)

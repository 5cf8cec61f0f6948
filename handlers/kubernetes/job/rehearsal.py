"""The dry run of a Job."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.kubernetes.job.manifest import job_manifest
from handlers.kubernetes.job.parameters import KubernetesJob
from handlers.kubernetes.job.running import JOB
from handlers.kubernetes.rehearsal import Place, dry_create, findings, opened, settled
from receiver.contract import PLACEHOLDER, Call, Finding, PermanentError


def dry_run(params: KubernetesJob, call: Call) -> Sequence[Finding]:
    """Ask the API server whether it would take the Job."""
    api = opened(params.cluster, call)
    namespace, notes = settled(api, params.namespace)
    if params.from_ is not None and (notes or PLACEHOLDER in params.from_.model_dump_json()):
        why = "not tried: of what the Job is made is known only at run time"
        return [Finding(("from",), why, certain=False)]
    at: Place = ("from",) if params.from_ is not None else ("manifest",)
    try:
        manifest = job_manifest(params.model_copy(update={"namespace": namespace}), api)
    except PermanentError as error:
        return [*notes, Finding(at, error.message, error.hint)]
    path = JOB.path(namespace)
    found = findings(dry_create(api, path, manifest), params.manifest, at)
    return [*notes, *found]

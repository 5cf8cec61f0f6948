"""The dry run of a Job."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.kubernetes.dry_run import FieldPath, dry_run_create, dry_run_findings, open_cluster
from handlers.kubernetes.job.attempt import JOB
from handlers.kubernetes.job.manifest import job_manifest
from handlers.kubernetes.job.parameters import KubernetesJob
from handlers.kubernetes.rights import Right, missing_rights
from receiver.contract import PLACEHOLDER, Call, Finding, PermanentError

TO_FOLLOW = (
    Right("get", "jobs", "batch"),
    Right("watch", "jobs", "batch", otherwise="each Job will be asked for, `every` 5 s"),
    Right("list", "pods", otherwise="why a pod failed, or does not start, will not be told"),
    Right("get", "pods/log", otherwise="the last lines of the log will not be told"),
    Right("list", "events", otherwise="why no pod can be made will not be told"),
)
"""The rights to see how a Job ends; the dry run itself shows whether it may be created."""


def dry_run(params: KubernetesJob, call: Call) -> Sequence[Finding]:
    """Ask the API server whether it would take the Job."""
    api = open_cluster(params.cluster, call)
    source = params.from_ and f"{params.namespace} {params.from_.model_dump_json()}"
    if source is not None and PLACEHOLDER in source:
        why = "not tried: of what the Job is made is known only at run time"
        return [Finding(("from",), why, certain=False)]
    at: FieldPath = ("from",) if params.from_ is not None else ("manifest",)
    try:
        manifest = job_manifest(params, api)
    except PermanentError as error:
        return [Finding(at, error.message, error.hint)]
    found = dry_run_findings(
        dry_run_create(api, JOB.path(params.namespace), manifest), params.manifest, at
    )
    if not params.wait or PLACEHOLDER in params.namespace:
        return found
    return [*found, *missing_rights(api, params.namespace, TO_FOLLOW)]

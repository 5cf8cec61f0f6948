"""`kubernetes.job`: run a Job for a resource, and wait for its end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from handlers.kubernetes.job.attempt import run
from handlers.kubernetes.job.dry_run import dry_run
from handlers.kubernetes.job.parameters import KubernetesJob
from handlers.kubernetes.job.variables import complete
from handlers.kubernetes.tenancy import as_service_account, at, has_own_cluster, in_namespace
from receiver.contract import Finding, Handler, Tenant

__all__ = ["handler"]


def confine(parameters: Mapping[str, Any], tenant: Tenant) -> Iterator[Finding]:
    """Find another namespace than the tenant's, and pods that run as another service account."""
    metadata, pods = ("manifest", "metadata"), ("manifest", "spec", "template")
    yield from in_namespace(
        parameters, tenant, ("namespace",), (*metadata, "namespace"),
        (*pods, "metadata", "namespace"),
    )  # fmt: skip
    if not has_own_cluster(parameters):
        pod = (*pods, "spec")
        yield from as_service_account(at(parameters, *pod), tenant, pod)


EXAMPLE = """\
namespace: shop
manifest:
  metadata: {name: smoke-test}
  spec:
    backoffLimit: 1
    activeDeadlineSeconds: 600
    template:
      spec:
        containers:
        - name: test
          image: ghcr.io/acme/smoke-test:1
          command: [sh, -c, 'curl --fail "http://$POSTSYNC_RESOURCE_NAME/healthz"']
deletePolicy: [BeforeHookCreation]
"""

handler = Handler(
    name="kubernetes.job",
    summary="Run a Job, and wait for its end.",
    params=KubernetesJob,
    run=run,
    example=EXAMPLE,
    complete=complete,
    dry_run=dry_run,
    confine=confine,
    permissions="In the Job's namespace: `create`, `get`, `list`, `watch` and `delete` on `jobs`, "
    "`list` on `pods` and `events`, `get` on `pods/log`; for `from`, `get` on `cronjobs`, "
    "`podtemplates` or `configmaps`. "
    "See [kubernetes.md](kubernetes.md#rights).",
    output="`namespace`, `name`, `succeeded`, `condition`, `message`, `container`, `exitCode`, "
    "`reason`, `seconds` and `log` (its last lines); without `wait`, `namespace`, `name`, `uid`.",
)

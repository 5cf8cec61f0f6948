"""`kubernetes.job`: run a Job for a resource, and wait for its end."""

from __future__ import annotations

from handlers.kubernetes.job.attempt import run
from handlers.kubernetes.job.dry_run import dry_run
from handlers.kubernetes.job.parameters import KubernetesJob
from handlers.kubernetes.job.variables import complete
from receiver.contract import Handler

__all__ = ["handler"]

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
    permissions="In the Job's namespace: `create`, `get`, `list`, `watch` and `delete` on `jobs`, "
    "`list` on `pods` and `events`, `get` on `pods/log`; for `from`, `get` on `cronjobs`, "
    "`podtemplates` or `configmaps`. "
    "See [kubernetes.md](kubernetes.md#rights).",
    output="`namespace`, `name`, `succeeded`, `condition`, `message`, `container`, `exitCode`, "
    "`reason`, `seconds` and `log` (its last lines); without `wait`, `namespace`, `name`, `uid`.",
)

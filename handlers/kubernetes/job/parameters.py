"""What stands under `with` of `kubernetes.job`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from handlers.kubernetes.cluster import OnCluster
from receiver.contract import Duration, Params, wrong_shape

SHORTEST_TTL = 300
"""Seconds. A Job that is removed at once may be gone before anybody has seen how it ended."""
DAY = 86_400
POD_DEADLINE = 300.0
"""Seconds: a quota that is full for a moment is passed over, and nobody waits an hour for one that
refuses for good. The job controller tries again after 1 s to 60 s meanwhile
(``MaxJobApiBackOff``, k8s.io/kubernetes, pkg/controller/job/job_controller.go)."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
Policy = Literal["HookSucceeded", "HookFailed", "BeforeHookCreation"]


class ConfigMapKey(Params):
    """A key of a ConfigMap, with the manifest as YAML."""

    name: Name = Field(description="Name of the ConfigMap.")
    key: str = Field(default="job.yaml", min_length=1, description="Its key.")


class Source(Params):
    """Something in the Job's namespace that the Job is made of; one of these."""

    cron_job: Name | None = Field(
        default=None, description="Name of a CronJob, as `kubectl create job --from=cronjob/NAME`."
    )
    pod_template: Name | None = Field(
        default=None, description="Name of a PodTemplate: its pod is run once."
    )
    config_map: ConfigMapKey | None = Field(
        default=None, description="A ConfigMap with the manifest of a Job."
    )

    @model_validator(mode="after")
    def one(self) -> Source:
        """Refuse none and several."""
        if len(self.model_fields_set) != 1:
            raise wrong_shape("give one of cronJob, podTemplate and configMap")
        return self


class KubernetesJob(OnCluster):
    """Of what the Job is made, what it gets, and what becomes of it."""

    namespace: str = Field(
        min_length=1, description="Namespace of the Job, for example `${{ resource.namespace }}`."
    )
    manifest: dict[str, Any] | None = Field(
        default=None,
        description="The manifest of the Job; `apiVersion`, `kind` and `restartPolicy: Never` may "
        "be left out. Its name, or generateName, is where the Job's name begins.",
    )
    from_: Source | None = Field(
        default=None, alias="from", description="Instead of `manifest`: what it is made of."
    )
    env: dict[str, str] = Field(
        default={},
        description="Environment variables for all containers, by name; those of the manifest "
        "win. `POSTSYNC_APPLICATION`, `POSTSYNC_REVISION` and others are there without this.",
    )
    labels: dict[str, str] = Field(default={}, description="Further labels of the Job.")
    annotations: dict[str, str] = Field(default={}, description="Further annotations of the Job.")
    wait: bool = Field(
        default=True, description="Succeed only when the Job is complete, and fail when it failed."
    )
    every: Duration = Field(
        default=5.0,
        ge=1,
        description="Time between two lookings at it. Where Jobs may be watched, one that goes on "
        "costs no request, and an end is seen at once.",
    )
    pod_deadline: Duration = Field(
        default=POD_DEADLINE,
        ge=1,
        description="How long Kubernetes may be unable to make a pod of it (a quota, Pod Security, "
        "a missing service account); then the run fails with the reason, and the Job is deleted, "
        "so that it does not begin later. A suspended Job is waited for.",
    )
    log_lines: int = Field(
        default=20, ge=0, le=200, description="Last lines of its log that are kept."
    )
    delete_policy: tuple[Policy, ...] = Field(
        default=(),
        description="When the Job is deleted, as with hooks of Argo CD: `HookSucceeded`, "
        "`HookFailed` (both need `wait`), and `BeforeHookCreation`: those that the same action "
        "made for the same target before.",
    )
    ttl_seconds_after_finished: int = Field(
        default=DAY,
        ge=SHORTEST_TTL,
        description="When Kubernetes deletes the finished Job, in seconds, where its manifest "
        "does not say it.",
    )

    @model_validator(mode="after")
    def one_source(self) -> KubernetesJob:
        """Refuse no source and two, and policies that nobody would look after."""
        if (self.manifest is None) == (self.from_ is None):
            raise wrong_shape("give manifest or from, one of them")
        if not self.wait and set(self.delete_policy) & {"HookSucceeded", "HookFailed"}:
            raise wrong_shape("HookSucceeded and HookFailed need wait: true")
        return self

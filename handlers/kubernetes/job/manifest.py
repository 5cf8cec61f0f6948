"""Builds the manifest of a Job, from the rule or from an object in the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import yaml

from handlers.kubernetes.client import Api
from handlers.kubernetes.job.parameters import SHORTEST_TTL, ConfigMapKey, KubernetesJob, Source
from handlers.kubernetes.run_objects import mapping_at, run_metadata
from handlers.kubernetes.tenancy import give_service_account
from receiver.contract import PermanentError
from receiver.kubernetes.objects import Object
from receiver.kubernetes.paths import path_of


def job_manifest(params: KubernetesJob, api: Api) -> Object:
    """Return the Job to create, named after the run.

    Raises:
        PermanentError: its source does not exist, is no Job, or runs as another service account
            than a tenant's may.
    """
    job = deepcopy(params.manifest) if params.from_ is None else _made_of(params, params.from_, api)
    metadata, spec = _checked(job or {})
    metadata = run_metadata(
        metadata, api, params.namespace, params.labels, params.annotations, prefix="postsync"
    )
    pod = mapping_at(mapping_at(spec, "template"), "spec")
    if api.tenant is not None:
        give_service_account(pod, api.tenant)
    if pod.get("restartPolicy", "Always") == "Always":  # as PodTemplates have it, and no Job
        pod["restartPolicy"] = "Never"
    _give(pod, {"POSTSYNC_RUN": api.call.run, **params.env})
    _bound_life(spec, params, api)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _made_of(params: KubernetesJob, source: Source, api: Api) -> Object:
    if source.cron_job is not None:
        cron = _there(api, params, "batch/v1", "cronjobs", source.cron_job)
        return _of_cron_job(cron)
    if source.pod_template is not None:
        found = _there(api, params, "v1", "podtemplates", source.pod_template)
        template = found.get("template") or {}
        return {"metadata": {"name": source.pod_template}, "spec": {"template": template}}
    assert source.config_map is not None  # noqa: S101 the model has one of the three
    return _of_config_map(params, source.config_map, api)


def _there(api: Api, params: KubernetesJob, version: str, plural: str, name: str) -> Object:
    found = api.find(path_of(version, plural, params.namespace, name))
    if found is None:
        raise PermanentError(f"there is no {plural} {params.namespace}/{name}")
    return found


def _of_cron_job(cron: Object) -> Object:
    """Return a Job as kubectl makes it, but not controlled by the CronJob.

    https://github.com/kubernetes/kubectl/blob/master/pkg/cmd/create/create_job.go makes the CronJob
    its controller, and that prunes what it controls by its history limits (k8s.io/kubernetes,
    pkg/controller/cronjob), perhaps before its end was seen. An owner that is no controller is
    enough for it to be shown under the CronJob, and deleted with it.
    """
    template, metadata = cron["spec"]["jobTemplate"], cron["metadata"]
    inherited = template.get("metadata") or {}
    owner = {
        "apiVersion": "batch/v1", "kind": "CronJob", "name": metadata["name"],
        "uid": metadata["uid"],
    }  # fmt: skip
    annotations = {"cronjob.kubernetes.io/instantiate": "manual"}
    return {
        "metadata": {
            "name": metadata["name"],
            "labels": inherited.get("labels") or {},
            "annotations": annotations | (inherited.get("annotations") or {}),
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    }


def _of_config_map(params: KubernetesJob, wanted: ConfigMapKey, api: Api) -> Object:
    found = _there(api, params, "v1", "configmaps", wanted.name)
    where = f"{wanted.key} of ConfigMap {params.namespace}/{wanted.name}"
    text = (found.get("data") or {}).get(wanted.key)
    if text is None:
        raise PermanentError(f"there is no {where}")
    try:
        job = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        job = None
    if not isinstance(job, dict):
        raise PermanentError(f"{where} is no manifest in YAML")
    return job


def _checked(job: Object) -> tuple[Object, Object]:
    """Return metadata and spec of what must be a Job."""
    unknown = set(job) - {"apiVersion", "kind", "metadata", "spec", "status"}
    if unknown:
        raise PermanentError(f"the manifest has {min(unknown)}, which no Job has")
    kind = (job.get("apiVersion", "batch/v1"), job.get("kind", "Job"))
    if kind != ("batch/v1", "Job"):
        raise PermanentError(f"the manifest is a {kind[1]} of {kind[0]}, not a Job of batch/v1")
    return mapping_at(job, "metadata"), mapping_at(job, "spec")


def _give(pod: Object, env: Mapping[str, str]) -> None:
    """Give variables to all containers, as they are: ``$(NAME)`` in a value means nothing."""
    for kind in ("initContainers", "containers"):
        for container in pod.get(kind) or []:
            if not isinstance(container, dict):
                raise PermanentError(f"{kind} of the manifest are no mappings")
            own = container.get("env") or []
            names = {one.get("name") for one in own if isinstance(one, dict)}
            given = [
                {"name": name, "value": value.replace("$(", "$$(")}
                for name, value in sorted(env.items())
                if name not in names
            ]
            container["env"] = [*given, *own]  # ours first, so that theirs may refer to them


def _bound_life(spec: Object, params: KubernetesJob, api: Api) -> None:
    ttl = spec.get("ttlSecondsAfterFinished")
    if ttl is None:
        spec["ttlSecondsAfterFinished"] = params.ttl_seconds_after_finished
    elif isinstance(ttl, int) and ttl < SHORTEST_TTL:
        spec["ttlSecondsAfterFinished"] = SHORTEST_TTL
        api.call.say(
            f"ttlSecondsAfterFinished is {SHORTEST_TTL}, not {ttl}: its end must be seen; "
            "deletePolicy deletes it at once"
        )

"""A CronJob that says by annotations what it follows: the rule that these make.

The names and words are those of Argo CD's hooks: https://argo-cd.readthedocs.io/en/stable/user-guide/resource_hooks/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from receiver.core.validation import FieldError, Path, field_errors
from receiver.rules.tenants.names import CRON_JOB, CRON_JOB_VERSION, GROUP, cron_job_rule

PREFIX = f"{GROUP}/"
HANDLER = "kubernetes.job"
ANNOTATIONS: Path = ("metadata", "annotations")
SUSPENDED: Path = ("spec", "suspend")
BY_SCHEDULE = "the CronJob is not suspended, so it also runs by its schedule"
SUSPEND = "set spec.suspend: true"
IN_ORDER = (
    "CronJobs do not wait for one another: what has an order is a PostSyncRule with an action for "
    "each, from: {cronJob: NAME}"
)
FOLLOWED = re.compile(
    r"(?P<kind>[A-Za-z][A-Za-z0-9]*)(\.(?P<group>[a-z0-9.-]+))?/(?P<name>[^/\s]+)"
)
T = TypeVar("T")


def _words(text: Any) -> Any:
    return [word.strip() for word in text.split(",")] if isinstance(text, str) else text


def _followed(text: str) -> str:
    if not FOLLOWED.fullmatch(text):
        raise ValueError(
            f"{text or 'an empty word'} names no resource; write Kind/name or Kind.group/name, as "
            "ConfigMap/assets-*, several with commas between"
        )
    return text


Words = Annotated[tuple[T, ...], Field(min_length=1), BeforeValidator(_words)]
Policy = Literal["HookSucceeded", "HookFailed", "BeforeHookCreation"]


class _Annotations(BaseModel):
    """Those of ours; each is a text, several words have commas between."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=lambda name: PREFIX + name.replace("_", "-")
    )

    after: Words[Annotated[str, AfterValidator(_followed)]]
    change: Literal["changed", "any"] = "changed"
    delete_policy: Words[Policy] = ()


AFTER, CHANGE, DELETE_POLICY = (f"{PREFIX}{name}" for name in ("after", "change", "delete-policy"))


def is_annotated(item: Mapping[str, Any]) -> bool:
    """Whether an object is a CronJob that has, or was meant to have, annotations of ours."""
    of_batch = str(item.get("apiVersion", CRON_JOB_VERSION)).startswith("batch/")
    return item.get("kind") == CRON_JOB and of_batch and bool(_ours(item))


def what_it_says(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a CronJob what its rule is made of, and nothing else."""
    spec = item.get("spec")
    suspended = isinstance(spec, Mapping) and spec.get("suspend") is True
    metadata = {key: item["metadata"][key] for key in ("name", "namespace")}
    return {
        "apiVersion": CRON_JOB_VERSION,
        "kind": CRON_JOB,
        "metadata": metadata | {"annotations": _ours(item)},
        "spec": {"suspend": suspended},
    }


def rule_of(item: Mapping[str, Any]) -> tuple[dict[str, Any], list[FieldError]]:
    """Return the rule that a CronJob's annotations make, or what is wrong, by path in it."""
    ours = _ours(item)
    try:
        said = _Annotations.model_validate(ours)
    except ValidationError as error:
        found = field_errors(error, _Annotations, ours)
        return {}, [FieldError(*_told(one)) for one in found]
    metadata = item["metadata"]
    name, namespace = str(metadata.get("name")), str(metadata.get("namespace"))
    policy = {"deletePolicy": [*said.delete_policy]} if said.delete_policy else {}
    job = {"namespace": namespace, "from": {"cronJob": name}, **policy}
    rule = {
        "name": cron_job_rule(name),
        "description": f"Runs a Job of CronJob {name}, after {', '.join(said.after)}.",
        "match": {"resources": [_selector(one, namespace, said.change) for one in said.after]},
        "actions": [{"name": "job", "uses": HANDLER, "target": "batch", "with": job}],
    }
    return rule, []


def place_in_cron_job(path: Path) -> Path:
    """Return where in the CronJob it stands what is at a path of its rule."""
    if path[:1] == ("name",):
        return ("metadata", "name")
    if "deletePolicy" in path:
        return (*ANNOTATIONS, DELETE_POLICY)
    return (*ANNOTATIONS, CHANGE if "change" in path else AFTER)


def _ours(item: Mapping[str, Any]) -> dict[str, Any]:
    metadata = item.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    if not isinstance(annotations, Mapping):
        return {}
    return {key: annotations[key] for key in sorted(map(str, annotations)) if _is_ours(key)}


def _is_ours(key: str) -> bool:
    return key.startswith(PREFIX)


def _told(mistake: FieldError) -> tuple[Path, str, str]:
    """Return a mistake at the annotation as a whole: what is between its commas has no place."""
    key = str(mistake.path[0])
    hint = IN_ORDER if key in {f"{PREFIX}wave", f"{PREFIX}sync-wave"} else mistake.hint
    return (*ANNOTATIONS, key), mistake.message, hint


def _selector(followed: str, namespace: str, change: str) -> dict[str, Any]:
    found = FOLLOWED.fullmatch(followed)
    assert found is not None  # noqa: S101 the model has checked it
    named = {key: word for key, word in found.groupdict().items() if word}
    return {**named, "namespace": namespace, "change": [change]}

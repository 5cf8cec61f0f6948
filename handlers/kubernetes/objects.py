"""How an action names an object, and where the API server has it.

A kind's name in paths is looked up and never guessed: `Endpoints`, `Ingress` and the kinds of
custom resources follow no rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, model_validator

from handlers.kubernetes.client import Api
from handlers.kubernetes.cluster import OnCluster
from receiver.contract import Json, Params, PermanentError, wrong_shape
from receiver.kubernetes.api_errors import Refused
from receiver.kubernetes.objects import Object
from receiver.kubernetes.paths import group_path, path_of, version_path

AT_ONCE = 0.1
"""Seconds until the next step of a run that had to be stored before it is taken."""
API_VERSION = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[a-z0-9]+$"
GROUP = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"
NAMESPACE = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"


class KindRef(Params):
    """A kind of objects, and the namespace in which they are."""

    api_version: str | None = Field(
        default=None,
        pattern=API_VERSION,
        description="Group and version of its kind, as in manifests, for example `apps/v1`.",
    )
    group: str | None = Field(
        default=None,
        pattern=GROUP,
        description="The group alone, for example `apps`: the cluster says in which version. "
        "Without `apiVersion` and `group` it is `v1`.",
    )
    kind: str = Field(
        pattern=r"^[A-Z][A-Za-z0-9]*$", description="Its kind, for example `Deployment`."
    )
    namespace: str | None = Field(
        default=None,
        pattern=NAMESPACE,
        description="Its namespace; none for what is in none, for example a ClusterRole.",
    )

    @model_validator(mode="after")
    def one_version(self) -> KindRef:
        """Refuse two ways to say the group."""
        if {"api_version", "group"} <= self.model_fields_set:
            raise wrong_shape("give apiVersion or group, not both")
        return self


class ObjectRef(KindRef):
    """One object."""

    name: str = Field(min_length=1, max_length=253, description="Its name.")

    def __str__(self) -> str:
        return f"{self.kind} {'/'.join(filter(None, (self.namespace, self.name)))}"


class OnObject(OnCluster):
    """What the actions on one object have in common."""

    object_: ObjectRef | None = Field(
        default=None,
        alias="object",
        description="The object; by default the resource that the run is about.",
    )


def complete(parameters: dict[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Let an action that names no object be about the run's resource."""
    resource = facts.get("resource")
    if "object" in parameters or resource is None:
        return parameters
    version = "/".join(filter(None, (resource["group"], resource["version"])))
    named = {"apiVersion": version, "kind": resource["kind"], "name": resource["name"]}
    if resource["namespace"]:
        named["namespace"] = resource["namespace"]
    return {**parameters, "object": named}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of objects as the API server has it.

    Attributes:
        api_version: ``v1``, ``apps/v1``.
        name: ``Deployment``.
        plural: its name in paths.
        namespaced: whether its objects are in namespaces.
    """

    api_version: str
    name: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str = "") -> str:
        """Return the path of an object, or of all of them in the namespace.

        Raises:
            PermanentError: the namespace is needed, and not given.
        """
        if self.namespaced and not namespace:
            raise PermanentError(
                f"a {self.name} is in a namespace, and none is given", hint="name its namespace"
            )
        inside = namespace if self.namespaced else None
        return path_of(self.api_version, self.plural, inside, name)


def kind_of(api: Api, api_version: str | None, group: str | None, name: str) -> Kind:
    """Return a kind from the API server, by what a manifest or a rule says of it.

    Raises:
        PermanentError: this cluster has no such kind.
    """
    version = api_version or (_preferred(api, group) if group else "v1")
    body = _discovered(api, version_path(version), version)
    for one in body.get("resources") or []:
        if one.get("kind") == name and "/" not in one["name"]:
            return Kind(version, name, one["name"], bool(one.get("namespaced")))
    raise PermanentError(
        f"this cluster has no kind {name} in {version}",
        hint="give the apiVersion that manifests of it have; `kubectl api-resources` lists them",
    )


def locate(api: Api, ref: ObjectRef | None) -> tuple[ObjectRef, str]:
    """Return what an action is about, and its path.

    Raises:
        PermanentError: nothing is named, or this cluster has no such kind.
    """
    if ref is None:
        raise PermanentError(
            "object is missing, and this run is not about one resource",
            hint="name the object, or leave target at resource",
        )
    kind = kind_of(api, ref.api_version, ref.group, ref.kind)
    return ref, kind.path(ref.namespace, ref.name)


def identity(found: Object) -> dict[str, Json]:
    """Return what later actions may want to know of any object: never its content."""
    metadata = found.get("metadata") or {}
    return {
        "apiVersion": found.get("apiVersion"),
        "kind": found.get("kind"),
        **{
            name: metadata.get(name)
            for name in ("namespace", "name", "uid", "generation", "resourceVersion")
        },
    }


def _preferred(api: Api, group: str) -> str:
    body = _discovered(api, group_path(group), group)
    return str((body.get("preferredVersion") or {}).get("groupVersion"))


def _discovered(api: Api, path: str, version: str) -> Object:
    """Return the discovery document of a version, or of a group."""
    try:
        return api.request("GET", path)
    except Refused as error:
        if error.status != 404:  # noqa: PLR2004 not found: no Status comes with it
            raise
        raise PermanentError(f"this cluster does not serve {version}") from None

"""Dry runs of the actions on objects: whether the kind exists, and the manifest is accepted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from handlers.kubernetes.client import Api
from handlers.kubernetes.cluster import Cluster
from handlers.kubernetes.dry_run import dry_run_findings, open_cluster
from handlers.kubernetes.objects import KindRef, kind_of
from receiver.contract import PLACEHOLDER, Call, Finding, PermanentError
from receiver.kubernetes.api_errors import Refused
from receiver.kubernetes.objects import Object

FORCE = "force: true takes these fields over; else leave them out of the manifest"
NAMESPACE = ("manifest", "metadata", "namespace")


class AboutObject(Protocol):
    """The parameters of an action that is about an object; None is the run's resource."""

    @property
    def cluster(self) -> Cluster | None:
        """Where it is."""

    @property
    def object_(self) -> KindRef | None:
        """What it is."""


def dry_run_kind(params: AboutObject, call: Call) -> Sequence[Finding]:
    """Ask whether the cluster has the kind of what an action is about."""
    ref = params.object_
    if ref is None:
        return []
    api = open_cluster(params.cluster, call)
    try:
        kind_of(api, ref.api_version, ref.group, ref.kind)
    except PermanentError as error:
        return [Finding(("object", "kind"), error.message, error.hint)]
    return []


def dry_run_apply(
    api: Api, manifest: Object, query: dict[str, str], content_type: str
) -> list[Finding]:
    """Ask whether the cluster would take a manifest.

    Args:
        api: where it would be applied.
        manifest: of one object; its namespace may be known only at run time.
        query: of the apply.
        content_type: of the apply.
    """
    metadata = manifest["metadata"]
    if PLACEHOLDER in f"{manifest['apiVersion']}{manifest['kind']}":
        return [Finding(("manifest",), "not tried: its kind is known at run time", certain=False)]
    try:
        kind = kind_of(api, str(manifest["apiVersion"]), None, str(manifest["kind"]))
        path = kind.path(str(metadata.get("namespace") or ""), str(metadata["name"]))
    except PermanentError as error:
        return [Finding(("manifest",), error.message, error.hint)]
    notes: list[Finding] = []

    def send() -> None:
        try:
            api.patch(path, manifest, content_type, query | {"dryRun": "All"})
        except Refused as error:
            if error.of_fields:
                notes.append(Finding(("manifest",), error.message, FORCE, certain=False))
            raise

    found = dry_run_findings(send, manifest, ("manifest",))
    return [replace(one, path=NAMESPACE) if one.path == ("namespace",) else one
            for one in (*notes, *found)]  # fmt: skip

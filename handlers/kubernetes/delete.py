"""`kubernetes.delete`: delete objects, for example what a failed sync left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from handlers.kubernetes.client import Api
from handlers.kubernetes.cluster import OnCluster
from handlers.kubernetes.object_dry_run import dry_run_kind
from handlers.kubernetes.objects import AT_ONCE, Kind, KindRef, kind_of
from handlers.kubernetes.tenancy import object_in_namespace
from receiver.contract import (
    Call,
    Duration,
    Handler,
    Json,
    Outcome,
    Pending,
    PermanentError,
    Succeeded,
    wrong_shape,
)
from receiver.kubernetes.objects import Object
from receiver.kubernetes.paths import below

__all__ = ["handler"]

SOON = 1.0
"""Seconds until it is checked for the first time whether it is gone."""
MOST = 100
"""Objects of one run: an attempt asks for each of them in its 30 s. A selector of more is most
likely too wide."""

LabelKey = Annotated[str, Field(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*)$")]
LabelValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,63}$")]


class Selection(KindRef):
    """One object by its name, or all that have some labels."""

    name: str | None = Field(
        default=None, min_length=1, max_length=253, description="Name of the object."
    )
    labels: dict[LabelKey, LabelValue] | None = Field(
        default=None,
        min_length=1,
        description="Instead of `name`: all objects that have all of these labels, "
        f"{MOST} at most.",
    )

    @model_validator(mode="after")
    def one_way(self) -> Selection:
        """Refuse none and both; an expression must not make everything of it."""
        if ("name" in self.model_fields_set) == ("labels" in self.model_fields_set):
            raise wrong_shape("give name or labels, one of them")
        return self


class KubernetesDelete(OnCluster):
    """What is deleted, and what becomes of what it owns."""

    object_: Selection = Field(alias="object", description="What is deleted.")
    propagation: Literal["Background", "Foreground", "Orphan"] = Field(
        default="Background",
        description="What becomes of what it owns, for example the pods of a Job: `Background` "
        "deletes them after it, `Foreground` before it, `Orphan` leaves them.",
    )
    wait: bool = Field(
        default=True, description="Succeed only when it is gone, its finalizers included."
    )
    every: Duration = Field(default=5.0, ge=1, description="Time between two lookings at it.")


def run(params: KubernetesDelete, call: Call) -> Outcome:
    """Take the run's next step; the state says which."""
    api = Api.of(params.cluster, call)
    state: dict[str, Any] = call.state if isinstance(call.state, dict) else {}
    if "found" not in state:
        return _find(params.object_, api)
    if "left" not in state:
        for name, uid in state["found"].items():
            api.delete(below(state["path"], name), uid=uid, propagation=params.propagation)
        state = state | {"left": list(state["found"]), "why": ""}
        if params.wait:
            return Pending(state, min(params.every, SOON))
        return _end(state)
    left, why = _left(api, state)
    if not left:
        return _end(state)
    if why != state["why"]:
        call.say(why)
    return Pending(state | {"left": left, "why": why}, params.every)


def _find(selection: Selection, api: Api) -> Outcome:
    """Note which objects are meant, by their uids.

    They go into the ledger before the first is deleted: an attempt that is repeated after a crash
    must not delete what was created meanwhile under the same name.
    """
    kind = kind_of(api, selection.api_version, selection.group, selection.kind)
    path = kind.path(selection.namespace)
    items = _selected(selection, api, kind)
    if len(items) > MOST:
        raise PermanentError(
            f"the labels select more than {MOST} objects", hint="name further labels"
        )
    found: dict[str, Json] = {one["metadata"]["name"]: one["metadata"]["uid"] for one in items}
    state: dict[str, Json] = {"path": path, "found": found}
    if found:
        return Pending(state, AT_ONCE)
    api.call.say(f"there is no such {selection.kind}: nothing to delete")
    return _end(state)


def _selected(selection: Selection, api: Api, kind: Kind) -> list[Object]:
    if selection.name is not None:
        found = api.find(kind.path(selection.namespace, selection.name))
        return [] if found is None else [found]
    labels = ",".join(f"{name}={value}" for name, value in (selection.labels or {}).items())
    query = {"labelSelector": labels, "limit": str(MOST + 1)}
    body = api.request("GET", kind.path(selection.namespace), query=query)
    items: list[Object] = body.get("items") or []
    return items


def _left(api: Api, state: Mapping[str, Any]) -> tuple[list[str], str]:
    """Return from the first object on that is not gone, and why it is not."""
    left: list[str] = state["left"]
    for place, name in enumerate(left):
        found = api.find(below(state["path"], name))
        if found is not None and found["metadata"]["uid"] == state["found"][name]:
            finalizers = ", ".join(found["metadata"].get("finalizers") or ["what it still does"])
            return left[place:], api.call.mask(f"{name} is not gone yet: {finalizers}")
    return [], ""


def _end(state: Mapping[str, Any]) -> Succeeded:
    return Succeeded({"deleted": sorted(state["found"])})


EXAMPLE = """\
object:
  apiVersion: batch/v1
  kind: Job
  namespace: shop
  labels: {app.kubernetes.io/part-of: shop, app.kubernetes.io/component: migration}
"""

handler = Handler(
    name="kubernetes.delete",
    summary="Delete an object, or those with some labels, and wait until they are gone.",
    params=KubernetesDelete,
    run=run,
    example=EXAMPLE,
    confine=object_in_namespace,
    dry_run=dry_run_kind,
    permissions="`get` and `delete` on the kind; with `labels`, `list` too. "
    "See [kubernetes.md](kubernetes.md#rights).",
    output="`deleted`: the names of what was there.",
    errors="What is not there is a success. See [kubernetes.md](kubernetes.md#what-refusals-mean).",
)

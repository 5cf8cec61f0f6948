"""`match`: which syncs and which of their resources a rule is for, in globs and fixed words."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, PydanticCustomError

from receiver.kubernetes.field_paths import parse_path


def as_list(value: Any) -> Any:
    """Read what stands alone as a list of one."""
    if isinstance(value, str | int | float):  # the items' validators report a number or `yes`
        return [value]
    if isinstance(value, list | tuple):
        return value
    raise PydanticCustomError("words", "must be a string or a list of strings")


class Strict(BaseModel):
    """camelCase keys, frozen, an unknown key is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


Phase = Literal["Succeeded", "Failed", "Error"]
ChangeWord = Literal["changed", "unchanged", "unknown", "any"]
StatusWord = Literal["Synced", "SyncFailed", "Pruned", "PruneSkipped", "any"]
HealthWord = Literal["Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown"]
HookWord = Literal["PreSync", "Sync", "PostSync", "SyncFail", "Skip", "any", "none"]
SyncPhaseWord = Literal["PreSync", "Sync", "PostSync", "SyncFail", "any"]


class _OneOrMany:
    """Describes a list that may also be a single entry."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: Any) -> dict[str, Any]:
        several = handler(core)
        return {"anyOf": [several["items"], several]}


T = TypeVar("T")
Words = Annotated[tuple[T, ...], Field(min_length=1), BeforeValidator(as_list), _OneOrMany()]
"""One word or a list of them; not an empty list."""
Globs = Words[str]
"""One glob or a list of them; any of them matches. ``*`` and ``?`` as in a shell."""


def _field_path(value: str) -> str:
    parse_path(value)
    return value


FieldPath = Annotated[str, AfterValidator(_field_path)]
"""See `receiver.kubernetes.field_paths`."""


class DestinationMatch(Strict):
    """Globs over the Application's destination."""

    server: Globs | None = Field(default=None, description="URL of the cluster, as globs.")
    name: Globs | None = Field(default=None, description="Name of the cluster, as globs.")
    namespace: Globs | None = Field(default=None, description="Namespace, as globs.")


class ApplicationExcept(Strict):
    """An Application to which all that is given applies is left out."""

    name: Globs | None = Field(default=None, description="Name, as globs.")
    namespace: Globs | None = Field(
        default=None, description="Namespace of the Application object itself, as globs."
    )
    project: Globs | None = Field(default=None, description="AppProject, as globs.")


class ApplicationMatch(Strict):
    """Which Applications; everything that is given must match."""

    name: Globs | None = Field(default=None, description="Name, as globs.")
    namespace: Globs | None = Field(
        default=None, description="Namespace of the Application object itself, as globs."
    )
    project: Globs | None = Field(default=None, description="AppProject, as globs.")
    labels: dict[str, Globs] = Field(
        default={}, description="Labels that the Application must have, their values as globs."
    )
    destination: DestinationMatch | None = Field(
        default=None, description="Where the Application's resources live."
    )
    not_: ApplicationExcept | None = Field(
        default=None, alias="not", description="Which of these are left out."
    )


class ResourceExcept(Strict):
    """A resource to which all that is given applies is left out."""

    group: Globs | None = Field(default=None, description="API group, as globs.")
    version: Globs | None = Field(default=None, description="API version, as globs.")
    kind: Globs | None = Field(default=None, description="Kind, as globs.")
    namespace: Globs | None = Field(
        default=None, description="Namespace, as globs; cluster-scoped kinds are in none."
    )
    name: Globs | None = Field(default=None, description="Name, as globs.")


class ResourceMatch(Strict):
    """Which resources; everything that is given must match.

    Without further words: changed, Synced, and no hook. Under phases Failed or Error, and beside
    `health`, `change` and `status` default to any.
    """

    group: Globs | None = Field(
        default=None, description='API group, as globs; "" is the core group. Absent: any.'
    )
    version: Globs | None = Field(default=None, description="API version, as globs.")
    kind: Globs | None = Field(default=None, description="Kind, as globs.")
    namespace: Globs | None = Field(
        default=None,
        description="Namespace, as globs. Never compared for cluster-scoped kinds, whose entries "
        "carry the Application's destination namespace.",
    )
    name: Globs | None = Field(default=None, description="Name, as globs.")
    image: Globs | None = Field(default=None, description="One of its images, as globs.")
    image_changed: bool | None = Field(
        default=None,
        description="Whether its images differ from those of the last sync that succeeded. Unknown "
        "at first sight: then `onUnknownChange` decides.",
    )
    change: Words[ChangeWord] = Field(default=("changed",), description="What the sync did to it.")
    status: Words[StatusWord] = Field(
        default=("Synced",), description="Its status in the sync's result."
    )
    health: Words[HealthWord] | None = Field(
        default=None,
        description="Its health, as the notification tells it, mostly on a channel of its own, or "
        "the sender's connection. With it, `change` and `status` default to any.",
    )
    hook_type: Words[HookWord] = Field(
        default=("none",), description="Hooks of these types; none: no hooks."
    )
    sync_phase: Words[SyncPhaseWord] = Field(
        default=("any",), description="The phase of the sync that it was applied in."
    )
    labels: dict[str, Globs] = Field(
        default={},
        description="Labels that its live object must have, their values as globs. Needs a "
        "connection.",
    )
    annotations: dict[str, Globs] = Field(
        default={},
        description="Annotations that its live object must have, their values as globs. Needs a "
        "connection.",
    )
    fields: Words[FieldPath] | None = Field(
        default=None,
        description="Paths into its live object: one of these fields must have another value than "
        "after the sync before. Needs a connection; where it is not known, `onUnknownChange` "
        "decides.",
    )
    not_: ResourceExcept | None = Field(
        default=None, alias="not", description="Which of these are left out."
    )

    @property
    def live_keys(self) -> tuple[str, ...]:
        """Those of its keys that only the live object can answer."""
        return tuple(key for key in ("labels", "annotations", "fields") if getattr(self, key))


class Match(Strict):
    """When a rule applies. Without `resources` it matches the sync itself."""

    application: ApplicationMatch = Field(
        default=ApplicationMatch(), description="Which Applications."
    )
    resources: tuple[ResourceMatch, ...] | None = Field(
        default=None, description="Any of these.", min_length=1
    )
    phases: Words[Phase] = Field(default=("Succeeded",), description="How the sync ended.")
    channel: Globs = Field(
        default=("sync",),
        description="The notification's channel, from its path, as globs. No glob takes "
        "`postsync`, on which Postsync itself tells what is held: it is named.",
    )
    sender: Globs | None = Field(default=None, description="Name of the sender's token, as globs.")
    condition: str | None = Field(
        default=None, description="CEL over application, sync, and resource where there is one."
    )

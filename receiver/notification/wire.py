"""What we read of Argo CD's objects. Unknown fields are fine, and null is the same as absent.

`receiver.notification.reading` reads them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeAlias, TypeVar

from msgspec import Meta
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, InitErrorDetails

Text: TypeAlias = str | None
Flag: TypeAlias = bool | None
Moment: TypeAlias = Annotated[datetime | None, BeforeValidator(lambda value: value or None)]
"""An empty text is no moment, as Argo CD writes none."""
Count: TypeAlias = Annotated[int, Field(ge=0, lt=1 << 31), Meta(ge=0, lt=1 << 31)]

T = TypeVar("T")

LONGEST = 10_000
"""Entries of a list or map other than the resources, which `resource_list` bounds: each that is
wrong would cost a kilobyte of complaint."""

Many: TypeAlias = Annotated[
    list[T], Field(max_length=LONGEST, fail_fast=True), Meta(max_length=LONGEST)
]


def _not_too_many(labels: Any) -> Any:
    if isinstance(labels, dict) and len(labels) > LONGEST:
        raise ValueError(f"has more than {LONGEST} entries")
    return labels


Labels: TypeAlias = Annotated[
    dict[str, Text], BeforeValidator(_not_too_many), Meta(max_length=LONGEST)
]


SLICE = 100
SHOWN = 10
"""Wrongly typed fields that an answer lists."""


def _until_shown(entries: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Read resources in slices, and no further once there are complaints enough to show.

    Each complaint takes a kilobyte, and an entry may earn thirteen.
    """
    if not isinstance(entries, list) or len(entries) <= SLICE:
        return read(entries)
    found: list[Any] = []
    wrong: list[InitErrorDetails] = []
    for start in range(0, len(entries), SLICE):
        try:
            found += read(entries[start : start + SLICE])
        except ValidationError as error:
            wrong += [_moved(item, start) for item in error.errors(include_url=False)]
        if len(wrong) >= SHOWN:
            break
    if wrong:
        raise ValidationError.from_exception_data("resources", wrong)
    return found


def _moved(item: ErrorDetails, by: int) -> InitErrorDetails:
    number, *inside = item["loc"]
    return InitErrorDetails(
        type=item["type"], loc=(int(number) + by, *inside), input=item["input"],
        ctx=item.get("ctx", {}),
    )  # fmt: skip


class Wire(BaseModel):
    """camelCase keys; a number may stand where a string belongs."""

    model_config = ConfigDict(alias_generator=to_camel, coerce_numbers_to_str=True)


class WireDestination(Wire):
    """``spec.destination``."""

    server: Text = None
    name: Text = None
    namespace: Text = None


class WireName(Wire):
    """An Application in few words; ``metadata`` has the first four."""

    name: Text = None
    namespace: Text = None
    uid: Text = None
    labels: Labels | None = None
    project: Text = None
    destination: WireDestination | None = None


class WireSource(Wire):
    """One source of manifests; of its parameters (Helm values among them) we read nothing."""

    repo_url: Text = Field(default=None, alias="repoURL")
    path: Text = None
    target_revision: Text = None
    chart: Text = None


class WireSources(Wire):
    """What a sync deploys; ``source`` is always there, and empty where there are ``sources``."""

    revision: Text = None
    revisions: Many[Text] | None = None
    source: WireSource | None = None
    sources: Many[WireSource | None] | None = None


class WireSyncOperation(WireSources):
    """``operation.sync``: what was requested."""

    dry_run: Flag = None
    resources: list[Any] | None = None
    sync_options: Many[Text] | None = None


class WireInitiatedBy(Wire):
    """``operation.initiatedBy``."""

    username: Text = None
    automated: Flag = None


class WireOperation(Wire):
    """``operationState.operation``."""

    sync: WireSyncOperation | None = None
    initiated_by: WireInitiatedBy | None = None


class WireResource(Wire):
    """One entry of ``syncResult.resources``."""

    group: Text = None
    version: Text = None
    kind: str
    namespace: Text = None
    name: str
    status: Text = None
    message: Text = None
    hook_type: Text = None
    hook_phase: Text = None
    sync_phase: Text = None
    images: Many[Text] | None = None
    health: Any = None


class WireSyncResult(WireSources):
    """``operationState.syncResult``: what was done."""

    resources: Annotated[list[WireResource], WrapValidator(_until_shown)] | None = None


class WireOperationState(Wire):
    """``status.operationState``."""

    phase: Text = None
    message: Text = None
    started_at: Moment = None
    finished_at: Moment = None
    retry_count: Count | None = None
    operation: WireOperation | None = None
    sync_result: WireSyncResult | None = None


class WireHeld(Wire):
    """``held``, which a notification of our own has."""

    sync: Text = None
    plan: Text = None
    rule: Text = None
    actions: Many[Text] | None = None
    count: Count | None = None
    targets: Many[Text] | None = None
    reason: Text = None
    since: Text = None
    expires: Text = None
    expiring: bool | None = None
    command: Text = None
    link: Text = None


class WireStatus(Wire):
    """``status`` of an Application; `own_list` reads its resources."""

    operation_state: WireOperationState | None = None
    resources: Any = None


class WireSpec(Wire):
    """``spec`` of an Application."""

    project: Text = None
    destination: WireDestination | None = None


class WireApplication(Wire):
    """A whole Application."""

    metadata: WireName
    spec: WireSpec | None = None
    status: WireStatus | None = None

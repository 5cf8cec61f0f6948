"""`debounce`: how syncs, and Applications, are awaited before one plan for all of them starts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from receiver.contract import Duration
from receiver.rules.schema.match import Globs, Strict


class AwaitedApplications(Strict):
    """Which Applications are awaited; everything that is given must match."""

    name: Globs | None = Field(default=None, description="Name, as globs.")
    namespace: Globs | None = Field(
        default=None, description="Namespace of the Application object itself, as globs."
    )
    project: Globs | None = Field(default=None, description="AppProject, as globs.")
    application_set: Globs | None = Field(
        default=None, description="Name of the ApplicationSet that made it, as globs."
    )
    labels: dict[str, Globs] = Field(
        default={}, description="Labels that the Application must have, their values as globs."
    )


class Until(Strict):
    """Whom the plan waits for, besides further syncs."""

    applications: AwaitedApplications = Field(
        description="Each of these has finished an operation at the plan's revision, or needs none."
    )
    otherwise: Literal["go", "fail"] = Field(
        default="go",
        description="What becomes of the plan after `maxWait` if one is missing or has failed.",
    )


class Debounce(Strict):
    """Several syncs make one plan: it waits until none has come for the length of `window`."""

    window: Duration = Field(
        default=30.0, gt=0, description="Quiet that ends the waiting; each sync begins it anew."
    )
    max_wait: Duration = Field(
        default=300.0, gt=0, description="The plan waits no longer than this after its first sync."
    )
    key: str = Field(
        default="",
        description="A string with ${{ }}: syncs with equal keys share a plan; empty: those of "
        "one application.",
    )
    until: Until | None = Field(
        default=None,
        description="Wait for Applications instead of for quiet; needs a connection to Argo CD.",
    )

"""What can be asked of the server, one entry for each method of each path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import BaseModel

from receiver.web.messages_api import Origin
from receiver.web.openapi import answers as a
from receiver.web.openapi import resources as shown
from receiver.web.openapi.examples import ChannelQuery, NotificationQuery
from receiver.web.query_params import EventsQuery, PlansQuery, RunsQuery, StoryQuery, SyncsQuery
from receiver.web.request_bodies import Repeat, ReplayBody, RetryBody, Why

Answers = Mapping[int, type[BaseModel] | None]


class Who(StrEnum):
    """Whose token is needed."""

    NOBODY = "no token"
    SENDER = "a sender's token"
    MESSENGER = "a messenger's or an operator's token"
    VIEWER = "a viewer's or an operator's token"
    OPERATOR = "an operator's token"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; ``body`` is a model, or the media type of what is no JSON object of ours."""

    method: str
    path: str
    name: str
    summary: str
    who: Who
    answers: Answers
    query: type[BaseModel] | None = None
    body: type[BaseModel] | str | None = None
    errors: tuple[int, ...] = field(default=())

    @property
    def tag(self) -> str:
        """The part of the API that it belongs to."""
        return self.path.split("/")[2] if self.path.startswith("/v1/") else "probes"


LOOK, ACT = (400, 401, 403, 503), (400, 401, 403, 404, 408, 409, 413, 415, 503)
SENT = (400, 401, 403, 404, 408, 413, 415, 503)


def _get(path: str, name: str, summary: str, answer: type[BaseModel],
         query: type[BaseModel] | None = None) -> Operation:  # fmt: skip
    errors = (*LOOK, 404) if "{" in path else LOOK
    return Operation("get", path, name, summary, Who.VIEWER, {200: answer}, query, errors=errors)


def _act(method: str, path: str, name: str, summary: str, answers: Answers,
         body: type[BaseModel] = Why) -> Operation:  # fmt: skip
    return Operation(method, path, name, summary, Who.OPERATOR, answers, body=body, errors=ACT)


OPERATIONS = (
    Operation(
        "post", "/v1/notifications", "notify", "Take a notification of Argo CD, on `sync`.",
        Who.SENDER, {202: a.Receipt}, NotificationQuery, "application/json", errors=SENT,
    ),
    Operation(
        "post", "/v1/notifications/{channel}", "notifyChannel",
        "Take a notification of Argo CD on a channel.",
        Who.SENDER, {202: a.Receipt}, ChannelQuery, "application/json", errors=SENT,
    ),
    Operation(
        "post", "/v1/messages", "say", "Take the words of a hook, at most 4 KiB.",
        Who.MESSENGER, {202: a.MessageReceipt}, Origin, "text/plain", errors=SENT,
    ),
    _get("/v1/syncs", "listSyncs", "List syncs, the newest first.", a.Syncs, SyncsQuery),
    _get("/v1/syncs/{sync}", "getSync", "Tell a sync's whole story; `last` is the newest.",
         shown.SyncStory, StoryQuery),
    _get("/v1/plans", "listPlans", "List plans, the newest first.", a.Plans, PlansQuery),
    _get("/v1/plans/{plan}", "getPlan", "Tell a plan with its runs.", shown.PlanStory),
    _get("/v1/runs", "listRuns", "List runs, the newest first.", a.Runs, RunsQuery),
    _get("/v1/runs/{run}", "getRun", "Tell a run with its attempts.", shown.RunStory),
    _get("/v1/events", "listEvents", "Read the trail, the oldest line first.", a.Events,
         EventsQuery),
    _get("/v1/pauses", "listPauses", "List what is paused.", a.Pauses),
    _act("post", "/v1/runs/{run}/retry", "retryRun",
         "Repeat a failed run with its stored parameters.", {200: a.OneRun}, Repeat),
    _act("post", "/v1/runs/retry", "retryRuns", "Repeat many failed runs.", {200: a.Retried},
         RetryBody),
    _act("post", "/v1/syncs/{sync}/replay", "replaySync",
         "Plan a sync anew under today's rules.", {202: a.Replayed}, ReplayBody),
    _act("post", "/v1/runs/{run}/cancel", "cancelRun", "Cancel a run.", {200: a.OneRun}),
    _act("post", "/v1/plans/{plan}/cancel", "cancelPlan", "Cancel a plan.", {200: a.OnePlan}),
    _act("post", "/v1/syncs/{sync}/cancel", "cancelSync", "Cancel the plans of a sync.",
         {200: a.CancelledSync}),
    _act("post", "/v1/runs/{run}/approve", "approveRun", "Let a held run go on.",
         {200: a.OneRun}),
    _act("post", "/v1/plans/{plan}/approve", "approvePlan",
         "Let a held plan, or the held runs of a plan, go on.", {200: a.OnePlan}),
    _act("put", "/v1/pauses/all", "pauseAll", "Begin no attempt at all.", {200: a.Paused}),
    _act("delete", "/v1/pauses/all", "resumeAll", "Lift that pause.", {200: a.Resumed}),
    _act("put", "/v1/pauses/rules/{name}", "pauseRule", "Begin no attempt of a rule.",
         {200: a.Paused}),
    _act("delete", "/v1/pauses/rules/{name}", "resumeRule", "Lift that pause.",
         {200: a.Resumed}),
    _act("put", "/v1/pauses/handlers/{name}", "pauseHandler", "Begin no attempt of a handler.",
         {200: a.Paused}),
    _act("delete", "/v1/pauses/handlers/{name}", "resumeHandler", "Lift that pause.",
         {200: a.Resumed}),
    Operation("get", "/v1/openapi.json", "openapi", "This document.", Who.NOBODY,
              {200: shown.Open}),
    Operation("get", "/healthz", "healthz", "Whether everything is alive.", Who.NOBODY,
              {200: a.Health, 503: a.Health}),
    Operation("get", "/readyz", "readyz", "Whether a notification can be stored.", Who.NOBODY,
              {200: a.Ready, 503: a.Ready}),
    Operation("get", "/metrics", "metrics", "Metrics for Prometheus, as text.", Who.NOBODY,
              {200: None}, errors=(503,)),
)  # fmt: skip

"""Makes an attempt as the product makes it; a server on loopback stands in for every service."""

from __future__ import annotations

import time
from collections.abc import Mapping, MutableMapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from urllib.parse import urlsplit

import structlog
import yaml

from receiver.contract import Answer, Json
from receiver.core.logs import Log
from receiver.core.model import Outcome
from receiver.dispatcher.attempt import Runner
from receiver.ledger.queue.claim import ClaimedRun
from receiver.outbound import Outbound
from receiver.outbound.address_policy import HostBounds
from receiver.outbound.client import HttpClient
from receiver.outbound.observed import Observer
from receiver.outbound.secret_masking import Masker
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.handlers.secret_refs import split_secrets
from receiver.settings.secrets import Secrets
from receiver.testkit.cases import ContractBroken, Served, Subject
from receiver.testkit.masking import RememberingMasker
from receiver.testkit.server import Fault, Seen, peer

RUN = "r-kit"
PATIENCE = 10.0
"""Seconds of an attempt: far more than loopback needs."""
SHORT = 0.3
"""Seconds of an attempt that gets no answer."""
LONGER = 3.0
"""The same, where that was too short for a request."""


@dataclass(frozen=True)
class Attempted:
    """How an attempt ended.

    Attributes:
        outcome: as it would be stored; `notes` are the lines that the handler wrote.
        seen: the requests as they arrived on loopback.
        addresses: the addresses that the handler called, in the same order.
        seconds: how long it took.
        timeout: seconds that it might take.
    """

    outcome: Outcome
    seen: Sequence[Seen]
    addresses: Sequence[str]
    seconds: float
    timeout: float


def attempt(
    subject: Subject,
    answers: Sequence[Served],
    *,
    parameters: Mapping[str, Any] | None = None,
    state: Json = None,
    number: int = 1,
    key_number: int = 1,
) -> Attempted:
    """Make one attempt; again with more time, if a busy machine took all of it before a request.

    Args:
        subject: the handler and its parameters.
        answers: one for each request; the last one repeats.
        parameters: instead of the subject's.
        state: what the attempt before left.
        number: the attempt's, from 1.
        key_number: the ``n`` in the idempotency key ``RUN.n``.

    Raises:
        ContractBroken: the handler broke off with an exception that is no `AttemptError`.
    """
    tree = dict(parameters) if parameters is not None else written_parameters(subject)
    slow = Fault.SILENT in answers or Fault.DRIPPING in answers
    about = {"state": state, "attempt": number, "key_number": key_number}
    made = _attempt(subject, answers, SHORT if slow else PATIENCE, tree, **about)
    if slow and not made.seen:
        return _attempt(subject, answers, LONGER, tree, **about)
    return made


def _attempt(
    subject: Subject, answers: Sequence[Served], timeout: float, tree: dict[str, Any], **about: Any
) -> Attempted:
    left = list(answers)
    bugs: list[str] = []

    def answering(_seen: Seen) -> Served:
        return left.pop(0) if len(left) > 1 else left[0]

    with peer(answering) as there, TemporaryDirectory() as folder:
        with closing(_ReroutingOutbound(there.url)) as outbound:
            registry, secrets = Registry([subject.handler]), Secrets(Path(folder))
            runner = Runner(
                registry, Expressions(), secrets, outbound, _log(bugs), masker=RememberingMasker
            )
            run = _run(subject, Path(folder), tree, timeout, **about)
            began = time.monotonic()
            outcome = runner.run(run)
            seconds = time.monotonic() - began
        if bugs:
            raise ContractBroken(f"{subject} broke off:\n{bugs[0]}")
        return Attempted(outcome, tuple(there.seen), tuple(outbound.addresses), seconds, timeout)


def written_parameters(subject: Subject) -> dict[str, Any]:
    """Return what stands under `with`."""
    if subject.parameters is not None:
        return dict(subject.parameters)
    return dict(yaml.safe_load(subject.handler.example))


def secret_values(subject: Subject, tree: Mapping[str, Any]) -> dict[str, str]:
    """Return a value for each secret that the parameters refer to, by name."""
    names = sorted({ref.name for ref in split_secrets(tree)[1].values()})
    # The kit's own look different in JSON, in HTML, in a URL and in base 64.
    own = {name: f'hush{number}&+/"<Zq8Wk3vXn5TrLm>' for number, name in enumerate(names)}
    return {name: subject.secrets.get(name, own[name]) for name in names}


def _run(
    subject: Subject, folder: Path, tree: dict[str, Any], timeout: float, **about: Any
) -> ClaimedRun:
    """Return a run as it is claimed, its secrets in files."""
    plain, references = split_secrets(tree)
    for name, value in secret_values(subject, tree).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(value)
    stored = {
        place: {"kind": "file", "name": ref.name, "format": ref.format}
        for place, ref in references.items()
    }
    given: dict[str, Any] = {
        "id": RUN, "plan": "p-kit", "sync": "s-kit", "rule": "kit", "action": "kit",
        "handler": subject.handler.name, "target": "", "target_index": None, "lane": "",
        "claim": 1, "failures": 0, "parameters": plain, "secrets": stored,
        "policy": {"timeout": timeout}, "pending": about["state"] is not None, "reason": "",
        "first_attempt_at": int(time.time() * 1000),
    }  # fmt: skip
    return ClaimedRun(**given, **about)


class _ReroutingOutbound(Outbound):
    """Sends every request to an http or https address to one server."""

    def __init__(self, there: str) -> None:
        super().__init__()
        self.there = there
        self.addresses: list[str] = []

    def http(
        self, deadline: float, masker: Masker, bounds: HostBounds | None = None,
        observer: Observer | None = None,
    ) -> HttpClient:  # fmt: skip
        client = super().http(deadline, masker, bounds, observer)
        parts = {field.name: getattr(client, field.name) for field in fields(client)}
        return _ReroutingClient(**parts, outbound=self)


@dataclass(frozen=True, slots=True)
class _ReroutingClient(HttpClient):
    outbound: _ReroutingOutbound = field(kw_only=True)

    def send(self, method: str, url: str, **options: Any) -> Answer:
        self.outbound.addresses.append(url)
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"}:
            scheme, netloc, *_ = urlsplit(self.outbound.there)
            url = parts._replace(scheme=scheme, netloc=netloc).geturl()
        return HttpClient.send(self, method, url, **options)


def _log(bugs: list[str]) -> Log:
    def keep(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        bugs.append(str(event.get("traceback", event)))
        raise structlog.DropEvent

    logger = structlog.wrap_logger(
        structlog.ReturnLogger(),
        processors=[keep],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return cast("Log", logger)

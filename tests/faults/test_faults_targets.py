"""Targets that misbehave in every way at once, beside one that does not."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator

import pytest
from deployment import Deployment
from liars import LIARS, Liar
from notifications import notification, resource
from scenario import Deploy, Judge, Lasting
from senders import Load

RULE = """
- name: NAME
  match: {{resources: [{{kind: ConfigMap, name: NAME-*}}]}}
  retry: {{for: 10s, initialDelay: 100ms, maxDelay: 2s}}
  timeout: 3s
  actions: [{{uses: http.request, with: {{url: "URL", json: {{name: "${{{{ resource.name }}}}"}}}}}}]
"""
WELL = "healthy"


@pytest.fixture
def liars() -> Iterator[dict[str, Liar]]:
    made = {
        name: Liar(number, scheme, behave)
        for number, (name, (scheme, behave)) in enumerate(LIARS.items(), 1)
    }
    yield made
    for liar in made.values():
        liar.close()


@pytest.mark.slow
def test_bad_targets(
    deploy: Deploy, liars: dict[str, Liar], lasting: Lasting, judge: Judge
) -> None:
    """The healthy one is called as soon as without them, within a wide margin."""
    urls = {name: liar.url for name, liar in liars.items()} | {WELL: "{url}"}
    rules = (RULE.replace("NAME", name).replace("URL", url) for name, url in urls.items())
    deployment = deploy("version: 1\nrules:" + "".join(rules))
    deployment.start()
    seconds = lasting(6, 0.05)
    began = time.monotonic()
    with deployment.load(rate=20, make=_to(WELL), label="alone") as alone:
        threading.Event().wait(seconds)
    with deployment.load(rate=60, make=_to(*liars), label="bad") as bad:
        threading.Event().wait(2)
        with deployment.load(rate=20, make=_to(WELL), label="beside") as beside:
            threading.Event().wait(seconds)
    deployment.settle()
    slowest = {load: _latency(deployment, load) for load in (alone, beside)}
    assert all(liar.asked for liar in liars.values())
    print({load._label: value for load, value in slowest.items()})


def _to(*kinds: str):
    def make(name: str) -> bytes:
        kind = kinds[hash(name) % len(kinds)]
        return notification(resource(f"{kind}-{name}"), application=name)
    return make


def _latency(deployment: Deployment, load: Load) -> float:
    """The time from a notification to the call for it, in seconds, that one in 20 exceeds."""
    sent = {one.name: one.at for one in load.sent}
    took = [
        call["at"] - sent[name]
        for call in deployment.target.seen
        if (name := json.loads(call["body"])["name"].partition("-")[2]) in sent
    ]
    print(len(took), len(sent))
    return sorted(took)[math.ceil(len(took) * 0.95) - 1]

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
from scenario import Deploy, Judge
from senders import Load
from service import wait_for

RULE = """
- name: NAME
  match: {{resources: [{{kind: ConfigMap, name: NAME*}}]}}
  retry: {{for: 20s, initialDelay: 4s, maxDelay: 4s}}
  timeout: 20s
  actions:
  - {{uses: http.request, with: {{url: "URL", json: {{name: "${{{{ resource.name }}}}"}}}}}}
"""
THREADS = "24"
"""Some of the bad ones hold each attempt until its timeout. A notification or two a second for each
are more than so many threads can bear, and little enough for a machine that is busy otherwise."""

MARGIN, LEAST = 8, 0.5
"""How many times slower it may be, and the seconds below which a difference tells nothing: the
machine's other work disturbs both."""


DONE = "SELECT COUNT(*) FROM runs WHERE rule IN ('alone', 'beside') AND state = 'succeeded'"


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
def test_bad_targets(deploy: Deploy, liars: dict[str, Liar], judge: Judge) -> None:
    """The healthy one is called as soon as without them, within a wide margin."""
    urls = {name: liar.url for name, liar in liars.items()} | {"alone": "{url}", "beside": "{url}"}
    rules = (RULE.replace("NAME", name).replace("URL", url) for name, url in urls.items())
    deployment = deploy("version: 1\nrules:" + "".join(rules), attempt_threads=THREADS)
    deployment.start()
    began = time.monotonic()
    with deployment.load(rate=5, make=_healthy, label="alone") as alone:
        threading.Event().wait(4)
    with deployment.load(rate=14, make=_bad) as bad:
        start = time.time()
        threading.Event().wait(8)
        with deployment.load(rate=5, make=_healthy, label="beside") as beside:
            threading.Event().wait(4)
    wanted = [(len(alone.accepted | beside.accepted),)]
    wait_for(lambda: deployment.query(DONE) == wanted, 60, "the healthy one's calls")
    for name, liar in liars.items():
        assert liar.asked, name
        deployment.note("bad target", name, start, time.time(), ends=False)
    judge(deployment, alone, beside, seconds=time.monotonic() - began)
    assert bad.accepted
    assert _latency(deployment, beside) < MARGIN * max(_latency(deployment, alone), LEAST)


def _healthy(name: str) -> bytes:
    return notification(resource(name), application=name)


def _bad(name: str) -> bytes:
    """A notification for one of the liars, each in its turn."""
    kinds = list(LIARS)
    kind = kinds[int(name.removeprefix("n")) % len(kinds)]
    return notification(resource(f"{kind}-{name}"), application=name)


def _calls(deployment: Deployment) -> dict[str, float]:
    """When each was called for, by name."""
    return {json.loads(call["body"])["name"]: call["at"] for call in deployment.target.seen}


def _latency(deployment: Deployment, load: Load) -> float:
    """The seconds from a notification to its call that one in twenty exceeds."""
    calls = _calls(deployment)
    took = sorted(calls[one.name] - one.at for one in load.sent)
    return took[math.ceil(len(took) * 0.95) - 1]

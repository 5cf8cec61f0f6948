"""Targets that misbehave in every way at once, beside one that does not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from liars import LIARS, Liar
from notifications import notification, resource
from scenario import Deploy, Judge
from service import wait_for

RULE = """
- name: NAME
  match: {{resources: [{{kind: ConfigMap, name: NAME*}}]}}
  retry: {{for: 20s, initialDelay: 4s, maxDelay: 4s}}
  timeout: 20s
  actions:
  - {{uses: http.request, with: {{url: "URL", json: {{name: "${{{{ resource.name }}}}"}}}}}}
"""
THREADS = 24
"""Some of the bad ones hold each attempt until its timeout. A notification or two a second for each
are more than so many threads can bear, and little enough for a machine that is busy otherwise."""

HOLDING = ("dripping", "endless", "handshake", "hanging")
"""Those that hold an attempt until its timeout."""
DONE = "SELECT COUNT(*) FROM runs WHERE rule = 'healthy' AND state = 'succeeded'"
ATTEMPTS = """
SELECT runs.id, runs.rule, attempts.owner, plans.created_at, attempts.started_at, attempts.ended_at
FROM attempts JOIN runs ON runs.id = run_id JOIN plans ON plans.id = plan_id
ORDER BY attempts.started_at
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """When an attempt was made, and by whom, and when its run was planned; in milliseconds."""

    run: str
    rule: str
    owner: str
    planned: int
    began: int
    ended: int | None


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
    """The healthy one is called as without them: they leave it threads, and its turn is kept.

    How soon that is depends on the machine; who holds the threads, and who goes first, does not.
    """
    urls = {name: liar.url for name, liar in liars.items()} | {"healthy": "{url}"}
    rules = (RULE.replace("NAME", name).replace("URL", url) for name, url in urls.items())
    deployment = deploy("version: 1\nrules:" + "".join(rules), attempt_threads=str(THREADS))
    deployment.start()
    began, start = time.monotonic(), time.time()
    with deployment.load(rate=14, make=_bad) as bad:
        wait_for(lambda: all(liar.asked > 1 for liar in liars.values()), 10, "all of them")
        threading.Event().wait(6)
        with deployment.load(rate=5, make=_healthy, label="healthy-") as healthy:
            threading.Event().wait(4)
    wanted = [(len(healthy.accepted),)]
    wait_for(lambda: deployment.query(DONE) == wanted, 60, "the healthy one's calls")
    for name in liars:
        deployment.note("bad target", name, start, time.time(), ends=False)
    judge(deployment, healthy, seconds=time.monotonic() - began)
    assert bad.accepted
    made = [Attempt(*row) for row in deployment.query(ATTEMPTS)]
    assert _most_held(made) < THREADS
    assert _most_overtaken(made) <= THREADS * len({one.owner for one in made})


def _most_held(made: list[Attempt]) -> int:
    """The most threads of one dispatcher that were held at one time by those who hold them."""
    held = [one for one in made if one.rule in HOLDING]
    return max(
        sum(
            other.owner == one.owner
            and other.began <= one.began
            and (other.ended is None or other.ended > one.began)
            for other in held
        )
        for one in held
    )


def _most_overtaken(made: list[Attempt]) -> int:
    """The most bad runs that were planned after a healthy one and began before it."""
    first = {one.run: one for one in reversed(made)}.values()
    bad = [one for one in first if one.rule != "healthy"]
    return max(
        sum(other.planned > one.planned and other.began < one.began for other in bad)
        for one in first
        if one.rule == "healthy"
    )


def _healthy(name: str) -> bytes:
    return notification(resource(name), application=name)


def _bad(name: str) -> bytes:
    """A notification for one of the liars, each in its turn."""
    kinds = list(LIARS)
    kind = kinds[int(name.removeprefix("n")) % len(kinds)]
    return notification(resource(f"{kind}-{name}"), application=name)

"""A disk that is full, under a whole service."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import Disk, small_disk
from notifications import notification, resource
from service import TOKEN, Service, Target, serving, wait_for

RULES = """
version: 1
rules:
- name: call
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions: [{{uses: http.request, with: {{url: "{url}", json: "${{{{ resource.name }}}}"}}}}]
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "small", 8) as disk:
        yield disk


@pytest.fixture
def disk(small: Disk) -> Path:
    """A small disk of its own."""
    return small.place


@pytest.fixture
def service(disk: Path, tmp_path: Path, target: Target) -> Iterator[Service]:
    """A service whose home alone is on the small disk; what it prints is not."""
    log = tmp_path / "stdout.log"
    with serving(disk, RULES.format(url=target.url), log=log, disk_reserve="0") as made:
        yield made


def post(service: Service, body: bytes) -> tuple[int, str, dict[str, str]]:
    """Send a notification: status, Retry-After and body of the answer."""
    request = urllib.request.Request(  # noqa: S310 loopback
        f"{service.url}/v1/notifications", body, {"Authorization": f"Bearer {TOKEN}senders"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 likewise
            return answer.status, "", json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Retry-After", ""), json.load(error)


def fill(file: Path) -> None:
    """Take all the space that is left."""
    with file.open("wb", buffering=0) as filler:
        try:
            while filler.write(b"\0" * 4096):
                pass
        except OSError:
            return


def large(name: str) -> bytes:
    """A notification that compresses badly, so that it needs new pages."""
    return notification(resource(name), application=name, message=os.urandom(100_000).hex())


def test_a_full_disk_costs_a_503_until_there_is_space(
    service: Service, disk: Path, target: Target
) -> None:
    """Both processes live, nothing accepted is lost, nothing refused is half there."""
    before, filler, accepted = service.processes(), disk / "filler", dict[str, str]()
    _, _, answer = post(service, large("first"))
    accepted["first"] = answer["sync"]
    fill(filler)
    refused, status, after = b"", 202, ""
    for number in range(100):
        refused = large(f"app-{number}")
        status, after, answer = post(service, refused)
        if status != 202:
            break
        accepted[f"app-{number}"] = answer["sync"]
    assert (status, answer["reason"]) == (503, "ledger_unavailable")
    assert 0 < int(after) <= 10
    assert service.process
    assert service.process.poll() is None
    filler.unlink()
    wait_for(lambda: post(service, large("again"))[0] == 202, 20, "the ledger to take writes")
    assert service.processes() == before
    status, _, answer = post(service, refused)
    assert (status, answer["verdict"]) == (202, "accepted")
    for sync in (*accepted.values(), answer["sync"]):
        assert [plan["state"] for plan in service.ended(sync)["plans"]] == ["succeeded"]
    called = {json.loads(call["body"]) for call in target.seen}
    assert called >= accepted.keys()


def test_rules_that_changed_while_the_disk_was_full_are_in_the_ledger_afterwards(
    service: Service, disk: Path
) -> None:
    """Plans refer to a stored rule set: one that could not be stored is stored later."""
    text = service.rules.read_text()
    space = disk / "space"
    space.write_bytes(b"\0" * 65536)
    fill(disk / "filler")
    while post(service, large("x"))[0] == 202:
        pass
    space.unlink()
    service.rules.write_text(text.replace("name: call", "name: again"))
    fill(disk / "more")
    assert service.process
    os.kill(service.process.pid, signal.SIGHUP)
    noticed = len(service.events("ledger.unavailable"))
    wait_for(
        lambda: len(service.events("ledger.unavailable")) >= noticed + 2, 20, "the new rules' turn"
    )
    (disk / "filler").unlink()
    wait_for(lambda: len(service.events("rules.loaded")) == 2, 20, "the new rules to be stored")
    service.kill()
    service.start()
    sync = post(service, large("after"))[2]["sync"]
    assert [plan["rule"] for plan in service.ended(sync)["plans"]] == ["again"]

"""A sync of which the process that plans it dies, and the one behind it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from notifications import notification, resource
from service import Service, group_alive, serving, wait_for

HANDLER = '''
import os
from pathlib import Path
from receiver.contract import Handler, Params, Succeeded
from pydantic import Field, field_validator

class Say(Params):
    """Parameters of toy.say."""
    text: str = Field(description="What to say.")

    @field_validator("text")
    @classmethod
    def _dies(cls, text: str) -> str:
        """Die as a library in C does that meets what it cannot bear."""
        if text == "poison" and Path(os.environ["POISONED"]).exists():
            os._exit(139)
        return text

handler = Handler(
    name="toy.say", summary="Say it.", params=Say, run=lambda params, call: Succeeded({}),
    lane=lambda parameters: "toy", example="text: hello",
)
'''
RULES = """
version: 1
rules:
- name: say
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - uses: toy.say
    with: {text: "${{ resource.name }}"}
"""
LIVES = 3


@pytest.fixture
def poisoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A handler of a third party that ends the process that renders its parameters."""
    site, mark = tmp_path / "site", tmp_path / "poisoned"
    info = site / "postsync_handler_toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: postsync-handler-toy\n"
                                   "Version: 1.0\n")  # fmt: skip
    (info / "entry_points.txt").write_text("[postsync.handlers]\ntoy = toy_say:handler\n")
    (site / "toy_say.py").write_text(HANDLER)
    mark.touch()
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("POISONED", str(mark))
    return mark


def send(service: Service, name: str) -> str:
    status, answer = service.request("POST", "/v1/notifications", notification(resource(name)))
    assert status == 202, answer
    return str(answer["sync"])


def await_death(service: Service) -> None:
    assert service.process
    process = service.process
    assert process.wait(60) == 1
    wait_for(lambda: not group_alive(process.pid), 20, "all of its processes to end")


@pytest.mark.slow
def test_a_poison_sync_is_set_aside_and_can_be_tried_again(tmp_path: Path, poisoned: Path) -> None:
    """Three lives end of it; the fourth tells so, plans what comes, and replays it once mended."""
    with serving(tmp_path / "home", RULES) as service:
        poison = send(service, "poison")
        for _ in range(LIVES - 1):
            await_death(service)
            service.start(ready=False)
        await_death(service)
        service.start()
        wait_for(lambda: bool(service.events("sync.failed")), 20, "the sync to be set aside")
        story = service.story(poison)
        assert (story["state"], story["plans"]) == ("failed", [])
        assert story["reason"] == f"{LIVES} processes in a row ended while they planned it"
        assert [one["state"] for one in service.ended(send(service, "well"))["plans"]] == [
            "succeeded"
        ]
        poisoned.unlink()
        body = json.dumps({"reason": "mended"}).encode()
        path = f"/v1/syncs/{poison}/replay"
        assert service.request("POST", path, body, role="operators")[0] == 202
        wait_for(lambda: bool(service.story(poison)["plans"]), 20, "the replay")
        assert [one["state"] for one in service.ended(poison)["plans"]] == ["succeeded"]


SLOW = """
version: 1
rules:
""" + "\n".join(
    f"""- name: rule-{number}
  match:
    resources: [{{kind: ConfigMap}}]
    condition: resource.name.matches('a.*b.*c.*d') && resource.message.contains('rule-{number}')
  actions: [{{uses: log.message, with: {{text: hello}}}}]"""
    for number in range(20)
)


@pytest.mark.slow
def test_a_stop_while_a_large_sync_is_planned_ends_well(tmp_path: Path) -> None:
    """At once and without suspicion; the sync stays new, and the next start plans it."""
    with serving(tmp_path, SLOW, drain="5") as service:
        body = notification(*(resource(f"a-{n}-b-c-d") for n in range(600)))
        _, answer = service.request("POST", "/v1/notifications", body)
        begun = "SELECT COUNT(*) FROM planning_attempts"
        wait_for(lambda: service.query(begun) == [(1,)], 20, "the planning to begin")
        assert service.stop() == 0
        assert service.query("SELECT state FROM syncs") == [("new",)]
        assert service.query(begun) == [(0,)]
        service.start()
        wait_for(lambda: service.story(answer["sync"])["state"] != "new", 120, "it to be planned")
        assert service.story(answer["sync"])["state"] == "planned"

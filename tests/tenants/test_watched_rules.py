"""PostSyncRules of a real API server come into force one by one, and stay so without it."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kube import Json, Kube
from notifications import resource
from postsyncrules import PostSyncRules, is_ready, known, said, serving, tell, tenants_of
from relays import relay
from service import Service, wait_for

from receiver.rules.tenants.names import GROUP, KIND

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

PATIENCE = 60
NUMBERS = itertools.count()


@pytest.fixture
def rules(kube: Kube) -> PostSyncRules:
    return PostSyncRules(kube, kube.namespace(f"team-{time.monotonic_ns()}"))


def of(service: Service, namespace: str) -> list[str]:
    """The rules of a namespace that are known; a test before may have left others."""
    return [one for one in known(service) if one.startswith(f"{namespace}/")]


def entry(rules: PostSyncRules, name: str) -> Json:
    """A PostSyncRule as a sync lists it."""
    return resource(name, group=GROUP, kind=KIND, version="v1alpha1", namespace=rules.namespace)


def test_a_rule_is_in_force_as_it_stands_in_the_cluster(
    tmp_path: Path, rules: PostSyncRules
) -> None:
    """From a list or by the watch; changed, broken, mended, removed."""
    team = rules.namespace
    rules.put("old")
    with serving(tmp_path, tenants_of(tmp_path, rules.kube.kubeconfig(), team)) as service:
        wait_for(lambda: is_ready(service, f"{team}/old"), PATIENCE, "the list")
        rules.put("new", "from the watch")
        wait_for(lambda: is_ready(service, f"{team}/new"), PATIENCE, "the watch")
        assert said(service, tell(service, team)) == ["from the watch", "hello"]
        assert said(service, tell(service, "elsewhere")) == []
        rules.put("new", "${{ nonsense }}")
        wait_for(lambda: not is_ready(service, f"{team}/new"), PATIENCE, "the broken version")
        assert known(service)[f"{team}/new"] == (False, True, "Invalid")
        assert said(service, tell(service, team)) == ["from the watch", "hello"]
        refused = service.events("postsyncrule.refused")
        (line,) = [one for one in refused if one["rule"] == f"{team}/new"]
        assert line["reason"].startswith("spec.actions[0].with.text: ")
        assert line["reason"].endswith("\nthe version before it stays in force")
        rules.put("new", "mended")
        wait_for(lambda: is_ready(service, f"{team}/new"), PATIENCE, "the mended version")
        assert said(service, tell(service, team)) == ["hello", "mended"]
        rules.remove("old")
        wait_for(lambda: f"{team}/old" not in known(service), PATIENCE, "the removal")
        assert said(service, tell(service, team)) == ["mended"]


def test_a_rule_beyond_its_bounds_keeps_itself_out(
    tmp_path: Path, kube: Kube, rules: PostSyncRules
) -> None:
    """And one of a namespace that may have none; each says what to ask for."""
    team, stranger = rules.namespace, PostSyncRules(kube, kube.namespace(f"s{time.monotonic_ns()}"))
    rules.put("good")
    call = {"uses": "http.request", "target": "application", "with": {"url": "https://e.example"}}
    rules.put("beyond", actions=[call])
    stranger.put("any")
    with serving(tmp_path, tenants_of(tmp_path, kube.kubeconfig(), team)) as service:
        wait_for(lambda: f"{stranger.namespace}/any" in known(service), PATIENCE, "the stranger")
        wait_for(lambda: len(of(service, team)) == 2, PATIENCE, "the team's")
        found = known(service)
        assert found[f"{team}/good"] == (True, True, "InForce")
        assert found[f"{team}/beyond"] == (False, False, "BeyondBounds")
        assert found[f"{stranger.namespace}/any"] == (False, False, "NoBounds")


def test_a_rule_that_is_nested_too_deep_keeps_no_other_from_being_read(
    tmp_path: Path, rules: PostSyncRules
) -> None:
    """Neither in a list nor in the watch; an API server takes ten times as much as Python reads."""
    team = rules.namespace
    call: Json = {"uses": "log.message", "target": "application", "with": {"text": "DEEP"}}
    spec = json.dumps({"match": {}, "actions": [call]}).replace('"DEEP"', "[" * 3000 + "]" * 3000)
    rules.put("good")
    rules.put_text("deep", spec)
    with serving(tmp_path, tenants_of(tmp_path, rules.kube.kubeconfig(), team)) as service:
        wait_for(lambda: is_ready(service, f"{team}/good"), PATIENCE, "the list")
        wait_for(lambda: len(of(service, team)) == 2, PATIENCE, "the deep one")
        rules.put_text("deeper", spec)
        wait_for(lambda: len(of(service, team)) == 3, PATIENCE, "the watch")
        assert known(service)[f"{team}/deeper"] == (False, False, "Invalid")


def test_a_rule_that_had_no_room_comes_into_force_when_another_goes(
    tmp_path: Path, rules: PostSyncRules
) -> None:
    team = rules.namespace
    setting = tenants_of(tmp_path, rules.kube.kubeconfig(), team, maxRules=2)
    for name in ("a", "b", "c"):
        rules.put(name)
    with serving(tmp_path, setting) as service:
        wait_for(lambda: len(of(service, team)) == 3, PATIENCE, "all three")
        assert known(service)[f"{team}/c"] == (False, False, "TooMany")
        rules.remove("a")
        wait_for(lambda: is_ready(service, f"{team}/c"), PATIENCE, "the room")


def test_without_the_api_server_the_last_rules_stay_in_force_also_over_a_restart(
    tmp_path: Path, rules: PostSyncRules
) -> None:
    """What the sync itself brings is waited for a while, and then the trail says so."""
    team = rules.namespace
    rules.put("kept", "kept")
    parts = urlsplit(rules.kube.url)
    with relay(parts.port or 0) as way:
        config = rules.kube.kubeconfig().replace(str(parts.port), str(way.port))
        with serving(tmp_path, tenants_of(tmp_path, config, team)) as service:
            wait_for(lambda: is_ready(service, f"{team}/kept"), PATIENCE, "the list")
            way.close()
            assert said(service, tell(service, team)) == ["kept"]
            service.kill()
            service.start()
            assert said(service, tell(service, team)) == ["kept"]
            began = time.monotonic()
            waiting = tell(service, team, resource("a"), entry(rules, "unread"))
            other = tell(service, team)
            assert said(service, other) == ["kept"]
            assert service.story(waiting)["state"] == "new"
            assert said(service, waiting) == ["kept"]
            assert time.monotonic() - began > 9
            (line,) = service.events("sync.rules_unread")
            assert line["sync"] == waiting
            _, status = service.request("GET", "/v1/status", role="operators")
            assert {one["about"] for one in status["needs"]} == {"connection"}
            told = [one["text"] for one in status["needs"]]
            assert any("cannot watch PostSyncRules" in text for text in told)


def test_what_a_sync_brings_is_in_force_for_that_very_sync(
    tmp_path: Path, rules: PostSyncRules
) -> None:
    """Changed and notified of at once, two hundred times: each is planned by the new version."""
    team = rules.namespace
    with serving(tmp_path, tenants_of(tmp_path, rules.kube.kubeconfig(), team)) as service:
        syncs = {}
        for number in range(200):
            rules.put("brought", f"version {number}")
            sync = tell(service, team, resource("a"), entry(rules, "brought"))
            syncs[sync] = number
            if number % 4 == 3:
                service.ended(sync)
            else:
                wait_for(lambda sync=sync: service.story(sync)["state"] == "planned", 30, sync)  # type: ignore[misc] # its own
        for sync, number in syncs.items():
            assert said(service, sync) == [f"version {number}"]
        rules.remove("brought")
        assert said(service, tell(service, team, resource("a"), entry(rules, "brought"))) == []
        assert service.events("sync.rules_unread") == []


def test_lists_metrics_and_explanations_have_the_rules_of_tenants(
    tmp_path: Path, kube: Kube, rules: PostSyncRules
) -> None:
    """Those that are not ready with their message; of a sync those that may see it."""
    team, other = rules.namespace, PostSyncRules(kube, kube.namespace(f"o{time.monotonic_ns()}"))
    rules.put("good", description="Says hello.")
    rules.put("bad", "${{ nonsense }}")
    other.put("theirs")
    setting = tenants_of(tmp_path, kube.kubeconfig(), team, other.namespace)
    with serving(tmp_path, setting) as service:
        wait_for(lambda: is_ready(service, f"{other.namespace}/theirs"), PATIENCE, "theirs")
        wait_for(lambda: len(of(service, team)) == 2, PATIENCE, "the team's")

        def ask(path: str) -> Json:
            status, answer = service.request("GET", f"/v1/{path}", role="operators")
            assert status == 200, answer
            return dict(answer)

        listed = {one["rule"]: one for one in ask("rules")["rules"]}
        good, bad = listed[f"{team}/good"], listed[f"{team}/bad"]
        assert (good["ready"], good["description"], good["handlers"]) == (
            True, "Says hello.", ["log.message"],
        )  # fmt: skip
        assert good["file"] == f"postsyncrules/{team}/good"
        assert not bad["ready"]
        assert bad["message"].startswith("spec.actions[0].with.text: ")
        assert ask(f"rules/{team}/good") == good
        status = ask("status")["rules"]
        assert status["tenantRules"] >= 3
        assert status["tenantRulesNotReady"] >= 1
        sync = tell(service, team)
        service.ended(sync)
        told = ask(f"syncs/{sync}")["explanation"]
        assert [(one["rule"], one["verdict"]) for one in told] == [(f"{team}/good", "matched")]
        now = [one["rule"] for one in ask(f"syncs/{sync}/explanation")["rules"]]
        assert now == [f"{team}/good"]
        (one,) = ask(f"syncs/{sync}/explanation?rule={other.namespace}/theirs")["rules"]
        assert one["reason"].startswith("tenant wants namespace ")
        _, pause = service.request(
            "PUT", f"/v1/pauses/rules/{team}/good", b'{"reason": "a test"}', role="operators"
        )
        assert "hint" not in pause

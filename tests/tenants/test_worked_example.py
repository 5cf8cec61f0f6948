"""examples/team-rule on a real control plane, with the overlay's rights, as two teams would."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from argocd_engine import Engine
from kube import Json, Kube
from manifests import K8S, build
from notifications import resource
from overlay import granted, member
from postsyncrules import PostSyncRules, serving, tell
from service import ROOT, Service, wait_for

from receiver.rules.tenants.names import PLURAL
from receiver.testkit import Peer, Reply, peer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

EXAMPLE = ROOT / "examples/team-rule"
NAMESPACES = {"shop": "team-shop", "postsync": "postsync-of-teams"}
TEAMS = ("team-shop", "team-blog", "team-none")
TOKEN = "hush-of-the-cdn"
USED = {
    *((PLURAL, verb) for verb in ("get", "list", "watch")),
    (f"{PLURAL}/status", "patch"),
    ("secrets", "get"),
}
"""What Postsync asks the API server for in the course of it, and nothing else."""
GRANTS = (ROOT / "docs/tenants.md").read_text()
PAGE = (ROOT / "docs/team-rules.md").read_text()


@pytest.fixture(scope="module")
def postsync(kube: Kube) -> Iterator[str]:
    """What the operator has done before: the kubeconfig of Postsync's own account."""
    for name in ("postsync-of-teams", *TEAMS):
        kube.namespace(name)
    PostSyncRules(kube, "team-shop")
    with granted(kube, NAMESPACES) as token:
        yield kube.kubeconfig(token)


@pytest.fixture(scope="module")
def teams(kube: Kube, postsync: str) -> dict[str, str]:  # noqa: ARG001 it gives the rights
    """Somebody of each team, by kubeconfig, with the role `edit` in its namespace."""
    return {name: kube.kubeconfig(member(kube, name, "edit"), name) for name in TEAMS}


@pytest.fixture
def service(tmp_path: Path, postsync: str) -> Iterator[Service]:
    """Postsync with the settings of the page, but for where it is reached and may call."""
    (block,) = re.findall(r"```yaml\n(tenants:\n.*?)```", GRANTS, re.DOTALL)
    tenants = yaml.safe_load(block)["tenants"]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/tenants").write_text(postsync)
    tenants["kubernetes"] = {"kubeconfig": {"file": "tenants"}}
    tenants["bounds"][0]["hosts"].append("127.0.0.1")
    with serving(tmp_path, tenants) as started:
        yield started


@pytest.fixture
def cdn() -> Iterator[Peer]:
    with peer(lambda _: Reply(200, b'{"success": true, "errors": []}')) as there:
        yield there


@pytest.fixture(scope="module")
def check() -> Json:
    """The ConfigMap with the health check."""
    found: Json = yaml.safe_load((K8S / "components/argocd-health/health.yaml").read_text())
    return found


@pytest.fixture
def shop(tmp_path: Path, cdn: Peer) -> Path:
    """The first team's folder, its one address led to a server of the test."""
    folder = Path(shutil.copytree(EXAMPLE / "shop", tmp_path / "shop"))
    rule = folder / "purge-assets.yaml"
    rule.write_text(rule.read_text().replace("    with:\n", f"    with:\n      api: {cdn.url}\n"))
    return folder


def synced(folder: Path, kubeconfig: str, service: Service) -> str:
    """Apply a folder with the team's own rights, and notify of it at once; the sync's id."""
    kubectl(kubeconfig, service.home, "apply", "--kustomize", str(folder))
    objects = build(folder)
    namespace = objects[0]["metadata"]["namespace"]
    return tell(service, namespace, *map(entry, objects), application=namespace)


def kubectl(kubeconfig: str, home: Path, *words: str) -> str:
    (home / "team").write_text(kubeconfig)
    done = subprocess.run(
        ["kubectl", "--kubeconfig", home / "team", *words],
        text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def entry(made: Json) -> Json:
    """An object as a sync lists it that has created it."""
    group, _, version = made["apiVersion"].rpartition("/")
    about = made["metadata"]
    message = f"{made['kind'].lower()}/{about['name']} created"
    return resource(
        about["name"], message, group=group, version=version, kind=made["kind"],
        namespace=about["namespace"],
    )  # fmt: skip


def rules_of(teams: dict[str, str], team: str, home: Path) -> list[Json]:
    """The rules of a namespace as its team sees them, once Postsync has told of each."""
    found: list[Json] = []

    def told() -> bool:
        text = kubectl(teams[team], home, "get", "postsyncrules", "--output", "json")
        found[:] = json.loads(text)["items"]
        return bool(found) and all("status" in one for one in found)

    wait_for(told, 60, "the status of each rule")
    return found


def health(made: list[Json], status: str) -> list[Json]:
    """How Argo CD is to show them: so, each with the message of its condition."""
    return [
        {"status": status, "message": one["status"]["conditions"][0]["message"]} for one in made
    ]


def test_first_sync_of_a_folder_purges(
    kube: Kube, service: Service, teams: dict[str, str], shop: Path, cdn: Peer, engine: Engine,
    check: Json,
) -> None:  # fmt: skip
    """By the rule that came with it, with the Secret that the operator has granted."""
    path = "/api/v1/namespaces/team-shop/secrets"
    kube.ask("POST", path, {"metadata": {"name": "cdn"}, "stringData": {"token": TOKEN}})
    sync = synced(shop, teams["team-shop"], service)
    story = service.ended(sync)
    assert [(plan["rule"], plan["state"]) for plan in story["plans"]] == [
        ("team-shop/purge-assets", "succeeded")
    ]
    (purge,) = cdn.seen
    assert purge.headers["authorization"] == f"Bearer {TOKEN}"
    assert json.loads(purge.body) == {"tags": ["assets"]}
    assert TOKEN not in json.dumps(story) + service.log.read_text()
    found = rules_of(teams, "team-shop", service.home)
    assert engine.health(check, *found) == health(found, "Healthy")
    assert kube.used(NAMESPACES["postsync"], "postsync") == USED


@pytest.mark.parametrize(("folder", "team"), [("blog", "team-blog"), ("shop", "team-none")])
def test_another_team_is_refused_with_a_message_that_helps(
    service: Service, teams: dict[str, str], shop: Path, engine: Engine, check: Json, folder: str,
    team: str,
) -> None:  # fmt: skip
    """Whose rules reach for it, or who was granted nothing; in its status and in Argo CD."""
    place = shop if folder == "shop" else EXAMPLE / folder
    kustomization = shop / "kustomization.yaml"
    kustomization.write_text(kustomization.read_text().replace("team-shop", team))
    assert service.ended(synced(place, teams[team], service))["plans"] == []
    found = rules_of(teams, team, service.home)
    expected = health(found, "Degraded")
    assert [one["message"] for one in expected if f"| `{one['message']}` |" not in PAGE] == []
    assert engine.health(check, *found) == expected


def test_what_is_removed_with_its_rule_is_not_acted_upon(
    service: Service, teams: dict[str, str], shop: Path
) -> None:
    """The sync that prunes both is planned after the rule is known to be gone."""
    rule = shop / "purge-assets.yaml"
    rule.write_text(rule.read_text().replace("name: assets}", "name: assets, status: [Pruned]}"))
    synced(shop, teams["team-shop"], service)
    pruned = [entry(one) | {"status": "Pruned", "message": "pruned"} for one in build(shop)]
    alone = tell(service, "team-shop", pruned[0], application="team-shop")
    assert [plan["rule"] for plan in service.ended(alone)["plans"]] == ["team-shop/purge-assets"]
    kubectl(teams["team-shop"], service.home, "delete", "--kustomize", str(shop))
    whole = tell(service, "team-shop", *pruned, application="team-shop")
    assert service.ended(whole)["plans"] == []

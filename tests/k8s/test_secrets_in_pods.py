"""The rule of the README works in a pod as it stands, by variables, and the same by files."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from cluster import Worker
from helm_chart import render
from manifests import K8S, Manifest, build, find
from notifications import notification, resource
from pod_files import Secrets, prepare
from postgres import Databases
from service import ROOT, Service, group_alive

from receiver.settings.tokens import ROLES
from receiver.testkit import Peer, Reply, peer

pytestmark = pytest.mark.slow

RULE = str(re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0])
PAGE = (ROOT / "docs/kubernetes.md").read_text()
PURGED = json.dumps({"success": True, "errors": [], "messages": [], "result": {"id": "x"}}).encode()


def rules_of(address: str) -> str:
    """The README's rule at a Cloudflare of ours, and the same with `file` for each `env`."""
    found = yaml.safe_load(RULE)
    [rule] = found["rules"]
    rule["actions"][0]["with"]["api"] = address
    by_files = json.loads(
        json.dumps(rule)
        .replace('{"env": "POSTSYNC_SECRET_CLOUDFLARE"}', '{"file": "cloudflare"}')
        .replace('{"env": "POSTSYNC_SECRET_SLACK_WEBHOOK"}', '{"file": "slack"}')
    )
    found["rules"] = [rule, by_files | {"name": "by-files"}]
    return yaml.safe_dump(found)


def secrets_of(address: str) -> Secrets:
    """What the page has one make, with values that can be told apart."""
    command = PAGE.partition("create secret generic postsync-variables")[2].partition("```")[0]
    variables = re.findall(r"--from-literal=(\w+)=", command)
    assert variables == ["POSTSYNC_SECRET_CLOUDFLARE", "POSTSYNC_SECRET_SLACK_WEBHOOK"]
    values = ("token-by-variables", f"{address}/slack-by-variables")
    return {
        "postsync-senders": {"argocd": "token-of-argocd-0123456789"},
        "postsync-variables": dict(zip(variables, values, strict=True)),
        "postsync-secrets": {"cloudflare": "token-by-files", "slack": f"{address}/slack-by-files"},
    }


@pytest.fixture
def services() -> Iterator[Peer]:
    """Cloudflare and Slack."""
    with peer(lambda _: Reply(200, PURGED, {"Content-Type": "application/json"})) as made:
        yield made


def by_kustomize(rules: str) -> list[Manifest]:
    made = build(K8S / "base")
    find(made, "ConfigMap")["data"] = {"shop.yaml": rules}
    return made


def by_helm(rules: str) -> list[Manifest]:
    """On IPv6 and below a prefix, which goes together with the rest."""
    values = {"rules": {"files": {"shop.yaml": rules}}, "urlPrefix": "/ops"}
    return render(values | {"service": {"ipFamilies": ["IPv6"]}})


class Pod:
    """What a pod of a Deployment runs, with its variables and folders."""

    def __init__(self, manifests: list[Manifest], name: str, secrets: Secrets, root: Path) -> None:
        variables = prepare(manifests, name, secrets, root)
        self.folders = {path.name for path in (root / "var/lib/postsync").iterdir()}
        self.variables = variables.keys()
        kind = Worker if name.endswith("-worker") else Service
        self.service = kind(root / "var/lib/postsync", "")
        if below := variables.get("POSTSYNC_URL_PREFIX"):
            self.service.url = f"http://[::1]:{self.service.port}{below}"
        own = {"POSTSYNC_PORT": str(self.service.port), "POSTSYNC_LOG_FORMAT": "json"}
        self.service.environ = os.environ | variables | own

    def __enter__(self) -> Service:
        self.service.start(ready=False)
        return self.service

    def __exit__(self, *_: object) -> None:
        if self.service.process and group_alive(self.service.process.pid):
            self.service.kill()


def is_done_by_both_rules(service: Service, services: Peer) -> None:
    """A sync of the README's is sent, and nobody who looks at it sees a secret."""
    service.wait_until_ready()
    sent = notification(resource("assets-img"), application="shop-eu")
    _, receipt = service.request("POST", "/v1/notifications", sent)
    story = service.ended(receipt["sync"])
    assert [plan["state"] for plan in story["plans"]] == ["succeeded", "succeeded"]
    tokens = {seen.headers.get("authorization") for seen in services.seen}
    assert {"Bearer token-by-variables", "Bearer token-by-files"} <= tokens
    assert {"/slack-by-variables", "/slack-by-files"} <= {seen.path for seen in services.seen}
    assert "token-by" not in json.dumps(story) + service.log.read_text()


@pytest.mark.parametrize("make", [by_kustomize, by_helm])
def test_a_rule_finds_its_secrets_in_the_pod(
    make: Callable[[str], list[Manifest]], services: Peer, tmp_path: Path
) -> None:
    """As the page says to make them, by either way."""
    pod = Pod(make(rules_of(services.url)), "postsync", secrets_of(services.url), tmp_path)
    with pod as service:
        is_done_by_both_rules(service, services)
        assert service.stop(signal.SIGTERM) == 0


def test_of_several_replicas_the_workers_have_them(
    services: Peer, ledgers: Databases, tmp_path: Path
) -> None:
    """And the rules; who takes notifications has the senders' tokens, and neither of these."""
    values = {"rules": {"files": {"shop.yaml": rules_of(services.url)}}}
    manifests = render(values | {"postgresql": {"enabled": True}})
    with ledgers.emptied() as url:
        secrets = {**secrets_of(services.url), "postsync-database": {"url": url}}
        intake, worker = (
            Pod(manifests, name, secrets, tmp_path / name)
            for name in ("postsync", "postsync-worker")
        )
        assert (intake.folders, worker.folders) == (set(ROLES), {"secrets"})
        assert {name for name in worker.variables if "SECRET" in name} == {
            *secrets["postsync-variables"]
        }
        assert not {name for name in intake.variables if "SECRET" in name}
        with worker as other, intake as service:
            is_done_by_both_rules(service, services)
            assert "token-by" not in other.log.read_text()
            assert (service.stop(signal.SIGTERM), other.stop(signal.SIGTERM)) == (0, 0)

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
from helm_chart import render
from manifests import K8S, Manifest, build, find
from notifications import notification, resource
from pod_files import Secrets, prepare
from service import ROOT, Service, group_alive

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


@pytest.mark.parametrize("make", [by_kustomize, by_helm])
def test_a_rule_finds_its_secrets_in_the_pod(
    make: Callable[[str], list[Manifest]], services: Peer, tmp_path: Path
) -> None:
    """As the page says to make them, by either way; a viewer of the run sees none of them."""
    manifests = make(rules_of(services.url))
    environ = prepare(manifests, "postsync", secrets_of(services.url), tmp_path)
    service = Service(tmp_path / "var/lib/postsync", "")
    below = environ.get("POSTSYNC_URL_PREFIX", "")
    if below:
        service.url = f"http://[::1]:{service.port}{below}"
    own = {"POSTSYNC_PORT": str(service.port), "POSTSYNC_LOG_FORMAT": "json"}
    service.environ = os.environ | environ | own
    try:
        service.start()
        sent = notification(resource("assets-img"), application="shop-eu")
        _, receipt = service.request("POST", "/v1/notifications", sent)
        story = service.ended(receipt["sync"])
        assert [plan["state"] for plan in story["plans"]] == ["succeeded", "succeeded"]
        assert service.stop(signal.SIGTERM) == 0
    finally:
        if service.process and group_alive(service.process.pid):
            service.kill()
    tokens = {seen.headers.get("authorization") for seen in services.seen}
    assert {"Bearer token-by-variables", "Bearer token-by-files"} <= tokens
    assert {"/slack-by-variables", "/slack-by-files"} <= {seen.path for seen in services.seen}
    assert "token-by" not in json.dumps(story) + service.log.read_text()

"""Each refusal that docs/team-rules.md explains to teams is one that a team meets."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kube import Json, Kube
from planning import claimed_run, handlers
from postsyncrules import say
from service import ROOT

from receiver.argocd.server import Server
from receiver.core.logs import configure_logs
from receiver.dispatcher.attempt import Runner
from receiver.dispatcher.tenants.attempts import TenantAttempts
from receiver.dispatcher.tenants.judge import Judge
from receiver.dispatcher.tenants.seen_rule import SeenRule
from receiver.kubernetes.access import by_kubeconfig
from receiver.outbound import Outbound
from receiver.rules.expressions.cel import Expressions
from receiver.rules.tenants.bounds import TenantBounds, Tenants
from receiver.settings.secrets import Secrets

pytestmark = pytest.mark.xdist_group("kubernetes")

BLOG, HERE = "team-blog", "blog-of-refusals"
GRANTED = ("log.message", "http.request", "fastly.purge", "kubernetes.patch")
TENANTS = Tenants(
    (
        TenantBounds(namespaces=("team-shop",), handlers=("cloudflare.purge",)),
        TenantBounds(
            namespaces=(BLOG, HERE), handlers=GRANTED, hosts=("api.fastly.com",), max_rules=5
        ),
    )
)
SHOWN = re.compile(r"^\| `(.+?)` \|", re.MULTILINE)
_, PAGE = (ROOT / "docs/team-rules.md").read_text().split("\n## What refusals mean\n")
RULES, ATTEMPTS = map(SHOWN.findall, PAGE.split("\nAn attempt may be refused"))


def _action(uses: str, **parameters: object) -> Json:
    return {"uses": uses, "target": "application", "with": parameters}


CDN = {"secret": {"name": "cdn", "key": "token"}}
OTHERS = {"kind": "ConfigMap", "namespace": "team-shop", "name": "assets"}
REFUSED: list[Json] = [
    {"actions": [_action("cloudflare.purge", zone="0" * 32, everything=True, token=CDN)]},
    {"match": {"application": {"destination": {"namespace": "team-shop"}}}},
    {"actions": [_action("kubernetes.patch", object=OTHERS, type="merge", patch={})]},
    {"actions": [_action("fastly.purge", service="x", everything=True,
                         token={"env": "POSTSYNC_SECRET_CDN"})]},
    {"actions": [say("x" * 9_000) for _ in range(8)]},
]  # fmt: skip
POD = {"restartPolicy": "Never", "containers": [{"name": "it", "image": "it"}]}
CRON_JOB = {
    "metadata": {"name": "it", "namespace": BLOG,
                 "annotations": {"postsync.dev/after": "ConfigMap/a"}},
    "spec": {"schedule": "0 0 1 1 *", "suspend": True,
             "jobTemplate": {"spec": {"template": {"spec": POD}}}},
}  # fmt: skip


def _seen(namespace: str, **spec: Any) -> SeenRule:
    said = {"match": {"resources": [{"kind": "ConfigMap"}]}, "actions": [say("hello")]} | spec
    return SeenRule.of({"metadata": {"name": "it", "namespace": namespace}, "spec": said})


@pytest.fixture(scope="module")
def messages() -> list[str]:
    """What is told of rules that a team may not have."""
    judge = Judge(TENANTS, handlers(), Expressions(), configure_logs("json"), connected=False)
    judged = [judge.judge(_seen(BLOG, **spec), 0) for spec in REFUSED]
    judged += [judge.judge(_seen("team-none"), 0), judge.judge(_seen(BLOG), 5)]
    judged.append(judge.judge(SeenRule.of_cron_job(CRON_JOB), 0))
    assert {one.rule_set for one in judged} == {None}
    return [one.message for one in judged]


@pytest.mark.parametrize("message", RULES)
def test_a_rule_is_refused_with_each_message_of_the_page(message: str, messages: list[str]) -> None:
    end = message.removeprefix("... ")
    assert [one for one in messages if one.endswith(end) and (end != message or one == end)]


def _attempt(server: Server, kubeconfig: str, outbound: Outbound, home: Path, host: str) -> str:
    """Why an attempt with a Secret, to this host, does not come about."""
    runner = Runner(
        handlers(), Expressions(), Secrets(home), outbound, configure_logs("json"),
        TenantAttempts(TENANTS, server, lambda: kubeconfig),
    )  # fmt: skip
    run = replace(
        claimed_run("r-1"), rule=f"{HERE}/it", handler="http.request",
        parameters={"method": "GET", "url": f"https://{host}/", "headers": {"Authorization": None}},
        secrets={"/headers/Authorization": {"kind": "secret", "name": "cdn", "key": "token"}},
    )  # fmt: skip
    return str(runner.run(run).reason)


@pytest.fixture(scope="module")
def reasons(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What attempts of a team say: without a right, without the Secret, and to another host."""
    home = tmp_path_factory.mktemp("refusals")
    kube.namespace(HERE)
    kubeconfig = kube.account("postsync-of-refusals", namespace=HERE)
    rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{HERE}"
    meta = {"metadata": {"name": "postsync-secrets"}}
    with closing(Outbound()) as outbound:
        server = Server("the API server", lambda: by_kubeconfig(kubeconfig, None), outbound)
        found = [_attempt(server, kubeconfig, outbound, home, "api.fastly.com")]
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"],
                "resourceNames": ["cdn"]}  # fmt: skip
        kube.ask("POST", f"{rights}/roles", {**meta, "rules": [rule]})
        kube.ask("POST", f"{rights}/rolebindings", {
            **meta,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
                        "name": "postsync-secrets"},
            "subjects": [{"kind": "ServiceAccount", "name": "postsync-of-refusals",
                          "namespace": HERE}],
        })  # fmt: skip
        while (reason := _attempt(server, kubeconfig, outbound, home, "api.fastly.com")) in found:
            pass  # the API server takes a moment to see it
        found.append(reason)
        secret = {"metadata": {"name": "cdn"}, "stringData": {"token": "hush"}}
        kube.ask("POST", f"/api/v1/namespaces/{HERE}/secrets", secret)
        found.append(_attempt(server, kubeconfig, outbound, home, "cdn.example.com"))
    return [one.replace(HERE, BLOG) for one in found]


@pytest.mark.parametrize("message", ATTEMPTS)
def test_an_attempt_is_refused_with_each_message_of_the_page(
    message: str, reasons: list[str]
) -> None:
    assert message in reasons, json.dumps(reasons, indent=1)

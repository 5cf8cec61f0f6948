"""One team's rule with a Secret of its own, another's that reaches for it, in a real service."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from kube import Json, Kube
from peers import Reply, peer
from postsyncrules import PostSyncRules, is_ready, known, serving, tell, tenants_of
from service import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

PATIENCE = 60
TOKEN = "hunter22-of-one-team"


def _purge(url: str, namespace: str = "", **more: Json) -> Json:
    key = {"secret": {"name": f"{namespace}cdn", "key": "token"}, "format": "Bearer {}"}
    parameters = {"method": "POST", "url": url, "headers": {"Authorization": key}, **more}
    return {"uses": "http.request", "target": "application", "with": parameters}


def test_one_team_purges_and_the_other_is_told_what_to_ask_for(tmp_path: Path, kube: Kube) -> None:
    """The Secret is sent and stands nowhere; the other team's Secret cannot even be named."""
    one, other = (
        PostSyncRules(kube, kube.namespace(f"{name}-{time.monotonic_ns()}"))
        for name in ("one", "other")
    )
    secret = {"metadata": {"name": "cdn"}, "stringData": {"token": TOKEN}}
    kube.ask("POST", f"/api/v1/namespaces/{one.namespace}/secrets", secret)
    with peer(lambda seen: Reply(200, seen.headers["authorization"].encode())) as cdn:
        one.put("purge", actions=[_purge(cdn.url)])
        other.put("theirs", actions=[_purge(cdn.url, f"{one.namespace}/")])
        other.put(
            "job",
            actions=[
                {
                    "uses": "kubernetes.job",
                    "target": "application",
                    "with": {"namespace": one.namespace, "from": {"cronJob": "a"}},
                }
            ],
        )
        tenants = tenants_of(
            tmp_path, kube.kubeconfig(), one.namespace, other.namespace, handlers=["http.request"]
        )
        with serving(tmp_path, tenants) as service:
            wait_for(lambda: is_ready(service, f"{one.namespace}/purge"), PATIENCE, "the rule")
            wait_for(lambda: len(known(service)) >= 3, PATIENCE, "the other rules")
            service.ended(tell(service, other.namespace))
            assert cdn.seen == []
            service.ended(tell(service, one.namespace))
            told = {line["rule"]: line["reason"] for line in service.events("postsyncrule.refused")}
            trail = service.request("GET", "/v1/events")[1]
    assert [seen.headers["authorization"] for seen in cdn.seen] == [f"Bearer {TOKEN}"]
    assert TOKEN not in str(trail) + service.log.read_text()
    assert TOKEN.encode() not in b"".join(
        file.read_bytes() for file in tmp_path.glob("ledger.db*") if file.is_file()
    )
    assert "must be the name of a Secret" in told[f"{other.namespace}/theirs"]
    assert (
        "handler kubernetes.job is not among those of namespace "
        f"{other.namespace} (tenants.bounds[0].handlers) (ask who runs Postsync to add it)"
    ) in told[f"{other.namespace}/job"]

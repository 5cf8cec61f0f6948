from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube import ADMIN, Kube
from peers import call, door
from proxies import tunnels

from handlers.kubernetes.client import Api
from handlers.kubernetes.cluster import Cluster, access
from receiver.contract import Answer, PermanentError, TemporaryError
from receiver.kubernetes.access import by_kubeconfig, in_cluster
from receiver.kubernetes.api_errors import Refused, refusal
from receiver.kubernetes.paths import path_of
from receiver.outbound import Outbound


def _config(**changed: Any) -> str:
    """A kubeconfig with two contexts; ``user`` and ``cluster`` are added to the first one's."""
    cluster = {"server": "https://one.example.com/"} | changed.get("cluster", {})
    return yaml.safe_dump({
        "current-context": changed.get("current", "one"),
        "clusters": [
            {"name": "one", "cluster": cluster},
            {"name": "two", "cluster": {"server": "https://two.example.com"}},
        ],
        "users": [{"name": "it", "user": {"token": "hush-token"} | changed.get("user", {})}],
        "contexts": [
            {"name": "one", "context": {"cluster": "one", "user": "it", "namespace": "shop"}},
            {"name": "two", "context": {"cluster": "two", "user": "it"}},
        ],
    })  # fmt: skip


def test_a_context_says_which_cluster() -> None:
    """By default the current one; the namespace is its own, or `default`."""
    one, two = by_kubeconfig(_config(), None), by_kubeconfig(_config(), "two")
    assert (one.server, one.namespace, one.token) == (
        "https://one.example.com", "shop", "hush-token",
    )  # fmt: skip
    assert (two.server, two.namespace, two.tls) == ("https://two.example.com", "default", None)


@pytest.mark.parametrize(
    ("text", "context", "told"),
    [
        ("hush: [", None, "the kubeconfig is none"),
        ("hush", None, "the kubeconfig is none"),
        pytest.param("[" * 30_000, None, "the kubeconfig is none", id="deeper than a stack"),
        (_config(current=""), None, "the kubeconfig has no current-context"),
        (_config(), "three", "the kubeconfig has no context three"),
        (_config(user={"exec": {"command": "hush"}}), None, "the kubeconfig has exec, which"),
        (_config(user={"client-key": "/hush"}), None, "the kubeconfig has client-key, which"),
        (
            _config(cluster={"certificate-authority": "/hush"}),
            None,
            "the kubeconfig has certificate-authority, which",
        ),
        (
            _config(cluster={"insecure-skip-tls-verify": True}),
            None,
            "the kubeconfig skips the check",
        ),
        (
            _config(cluster={"certificate-authority-data": "hush"}),
            None,
            "certificate-authority-data of the kubeconfig is no base 64",
        ),
        (
            _config(cluster={"proxy-url": "socks5://it:hush@proxy.example"}),
            None,
            "proxy-url of the kubeconfig is no URL of http or https",
        ),
    ],
)
def test_a_kubeconfig_that_does_not_serve_says_why(
    text: str, context: str | None, told: str
) -> None:
    """And nothing of what is in it."""
    with pytest.raises(PermanentError) as caught:
        by_kubeconfig(text.replace("hush-token", "other"), context)
    assert str(caught.value).startswith(told)
    assert "hush" not in str(caught.value)


def test_outside_of_a_cluster_the_way_out_is_told(tmp_path: Path) -> None:
    """Also where the pod has no token."""
    with pytest.raises(PermanentError, match="automountServiceAccountToken"):
        in_cluster(
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}, tmp_path
        )


@pytest.mark.xdist_group("kubernetes")
def test_a_pods_token_is_read_anew_each_time(kube: Kube, tmp_path: Path) -> None:
    """The kubelet replaces it before it expires."""
    host, _, port = kube.url.removeprefix("https://").partition(":")
    environ = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
    (tmp_path / "ca.crt").write_text(kube.authority.read_text())
    (tmp_path / "namespace").write_text("default")
    outbound = Outbound()

    def version() -> str:
        api = Api(in_cluster(environ, tmp_path), call(door(outbound)))
        return str(api.request("GET", path_of("v1", "namespaces", None, "default"))["kind"])

    (tmp_path / "token").write_text("expired")
    with pytest.raises(Refused, match=r"was answered 401: Unauthorized .*no longer, valid"):
        version()
    (tmp_path / "token").write_text(ADMIN + "\n")
    assert version() == "Namespace"
    outbound.close()


def test_the_token_is_masked_from_then_on() -> None:
    """The attempt's secrets are the kubeconfig as a whole; its token is told by itself."""
    hidden: list[str] = []
    outbound = Outbound()
    Api.of(Cluster(kubeconfig=_config()), call(door(outbound), hide=hidden.append))
    outbound.close()
    assert [one for one in hidden if one] == ["hush-token"]
    assert "hush-token" not in repr(access(Cluster(kubeconfig=_config())))


@pytest.mark.xdist_group("kubernetes")
def test_the_proxy_of_a_kubeconfig_leads_to_its_cluster(kube: Kube) -> None:
    """As kubectl takes it, also to a host that the operator's proxy is never asked for."""
    config = yaml.safe_load(kube.kubeconfig())
    outbound = Outbound()
    with tunnels(int(kube.url.rpartition(":")[2])) as proxy:
        config["clusters"][0]["cluster"] |= {
            "server": "https://localhost",
            "proxy-url": proxy.url.replace("//", "//it:hu%23sh@"),
        }
        hidden: list[str] = []
        attempt = call(door(outbound), hide=hidden.append)
        api = Api.of(Cluster(kubeconfig=yaml.safe_dump(config)), attempt)
        assert (
            api.request("GET", path_of("v1", "namespaces", None, "default"))["kind"] == "Namespace"
        )
    outbound.close()
    assert proxy.heads[0].startswith("CONNECT localhost:443 ")
    assert {"hu%23sh", "hu#sh"} <= set(hidden)


def test_a_certificate_says_who_we_are() -> None:
    """As in the kubeconfigs of kind, k3s and kubeadm."""
    data = {
        f"client-{part}-data": base64.b64encode(part.encode()).decode()
        for part in ("certificate", "key")
    }
    found = by_kubeconfig(_config(user={**data, "token": ""}), None)
    assert found.tls is not None
    assert (found.tls.certificate, found.tls.key, found.token) == ("certificate", "key", "")


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (
            403,
            'cannot create resource "jobs" in API group "batch" in the namespace "shop"',
            "grant the verb create on jobs.batch in namespace shop; see docs/kubernetes.md",
        ),
        (
            403,
            'User "x" cannot get resource "nodes" in API group "" at the cluster scope',
            "grant the verb get on nodes; see docs/kubernetes.md",
        ),
        (403, 'pods "a" is forbidden: exceeded quota: q', ""),
        (404, 'namespaces "shop" not found', "the namespace must be there before"),
        (
            404,
            "the server could not find the requested resource",
            "this cluster does not serve that kind in that version",
        ),
        (409, 'jobs.batch "a" already exists', ""),
        (500, "failed to create typed patch object (a/b; v1): .date: field not declared", ""),
        (422, 'Job.batch "a" is invalid: spec.template', ""),
    ],
)
def test_a_refusal_is_permanent_and_names_the_way_out(status: int, message: str, hint: str) -> None:
    """In Kubernetes' own words."""
    body = json.dumps({"kind": "Status", "reason": "Why", "message": message}).encode()
    error = refusal(Answer(status, {}, body), "POST /a", call(None).now)  # type: ignore[arg-type] # nothing is sent
    assert isinstance(error, Refused)
    assert (error.status, error.reason, error.hint) == (status, "Why", hint)
    assert error.message == f"POST /a was answered {status}: {message}"


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_what_passes_is_temporary(status: int) -> None:
    """With the delay that the server asks for."""
    answer = Answer(status, {"retry-after": "7"}, b"try later")
    error = refusal(answer, "GET /a", call(None).now)  # type: ignore[arg-type] # nothing is sent
    assert isinstance(error, TemporaryError)
    assert (error.delay, error.limited) == (7, status == 429)

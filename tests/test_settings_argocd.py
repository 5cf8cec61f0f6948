"""The setting `argocd`: how each sender's Argo CD is asked."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from peers import Reply, peer

from receiver.app.connections import build_connections, warn_of_unknown_senders
from receiver.argocd.connection import ConnectionFailed
from receiver.core.errors import SettingsError
from receiver.core.logs import configure_logs
from receiver.outbound import Outbound
from receiver.settings.loading import load_settings
from receiver.settings.model import Settings

SERVER = {"server": "https://argocd.example/argo/", "token": {"file": "argocd"}}
CLUSTER = {"kubernetes": {"kubeconfig": {"file": "eu"}, "namespaces": ["argocd"]}}


def _settings(monkeypatch: pytest.MonkeyPatch, *, home: Path | None = None, **by: Any) -> Settings:
    monkeypatch.setenv("POSTSYNC_ARGOCD", json.dumps(by))
    return load_settings(home=home)


def test_a_variable_and_a_file_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As JSON, or in the words of the example."""
    file = tmp_path / "settings.yaml"
    file.write_text(json.dumps({"argocd": {"argocd": SERVER | CLUSTER}}))
    found = load_settings(file).argocd
    assert found == _settings(monkeypatch, argocd=SERVER | CLUSTER).argocd
    one = found["argocd"]
    assert (one.server, one.token and one.token.name) == ("https://argocd.example/argo", "argocd")
    assert one.kubernetes
    assert one.kubernetes.destinations == ("https://kubernetes.default.svc", "in-cluster")


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({}, "needs server (with token) or kubernetes"),
        ({"server": "https://a.example"}, "server is set without token"),
        ({"token": {"file": "a"}, **CLUSTER}, "token is set without server"),
        ({**CLUSTER, "caBundle": "a.pem"}, "caBundle is set without server"),
        ({**SERVER, "token": "hush"}, "a secret is never written here: name it, as {file: NAME}"),
        ({**SERVER, "token": {"env": "hush"}}, "only variables POSTSYNC_SECRET_* can be named"),
        ({**SERVER, "token": {"file": "../hush"}}, "must be a name below the secrets folder"),
        ({**SERVER, "server": "argocd.example"}, "must be an address like https://"),
        ({**SERVER, "server": "https://[hush"}, "must be an address like https://"),
        ({**SERVER, "server": "https://a.example?hush=1"}, "must be an address like https://"),
        ({**SERVER, "server": "https://it:hush@a.example"}, "must have no user in it"),
        ({**SERVER, "server": "http://a.example"}, "the token would be sent in the clear"),
        ({"kubernetes": {}}, "needs inCluster: true or a kubeconfig, and not both"),
        (
            {"kubernetes": {"inCluster": True, "kubeconfig": {"file": "a"}}},
            "needs inCluster: true or a kubeconfig, and not both",
        ),
        ({"kubernetes": {"inCluster": True, "context": "a"}}, "context is one of a kubeconfig"),
        ({"kubernetes": {"inCluster": True, "namespaces": []}}, "must not be empty"),
        ({**SERVER, "colour": "hush"}, "prod.colour: is no setting"),
        (
            {"kubernetes": {"incluster": True}},
            "prod.kubernetes.incluster: is no setting (did you mean inCluster?)",
        ),
        (
            {**SERVER, "actSince": "hush"},
            "is no setting (it is a setting of its own, beside argocd",
        ),
    ],
)
def test_what_is_half_or_doubtful_is_refused(
    setting: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sender is named, and nothing is shown that may be a secret."""
    with pytest.raises(SettingsError) as caught:
        _settings(monkeypatch, prod=setting)
    assert told in str(caught.value)
    assert "argocd (POSTSYNC_ARGOCD): prod" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_senders_name_that_lacks_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of its connection stand where it should."""
    with pytest.raises(SettingsError) as caught:
        _settings(monkeypatch, server=SERVER["server"], token=SERVER["token"])
    assert "server: must be a mapping (is the sender's name missing? argocd: {NAME: {" in str(
        caught.value
    )


def test_a_wrong_reference_is_not_answered_with_an_expression(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Settings have none."""
    with pytest.raises(SettingsError) as caught:
        _settings(monkeypatch, prod={**SERVER, "token": {"env": "ARGOCD_TOKEN"}})
    assert "${{" not in str(caught.value)


@pytest.mark.parametrize(
    "server", ["http://127.0.0.1:8080", "http://localhost", "http://argocd-server.argocd.svc"]
)
def test_within_a_host_or_a_cluster_tls_may_be_missing(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where argocd-server runs with server.insecure, behind a proxy that has the TLS."""
    found = _settings(monkeypatch, prod={**SERVER, "server": server}).argocd["prod"]
    assert found.server == server


def test_a_sender_without_a_token_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its connection would never be used."""
    settings = _settings(monkeypatch, prod=SERVER, stage=SERVER)
    warn_of_unknown_senders(settings, ["prod"], configure_logs("json"))
    told = capsys.readouterr()
    lines = [json.loads(line) for line in (told.out + told.err).splitlines()]
    ours = [one for one in lines if one["event"] == "argocd.unknownSender"]  # others log as well
    assert [one["sender"] for one in ours] == ["stage"]


@pytest.mark.parametrize("name", ["argo prod/x", "", "-a", "a" * 64])
def test_what_no_token_can_be_called_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a connection would belong to nobody."""
    monkeypatch.setenv("POSTSYNC_ARGOCD", json.dumps({name: SERVER}))
    with pytest.raises(SettingsError, match="is no sender's name: letters, digits"):
        load_settings()


def test_a_rotated_token_counts_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that is missing is told, with where it belongs."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    with peer(lambda _: Reply(200, b'{"items": []}')) as there, closing(Outbound()) as outbound:
        settings = _settings(
            monkeypatch, home=tmp_path, prod={"server": there.url, "token": {"file": "a"}}
        )
        connections = build_connections(settings, outbound)
        connection = connections.for_sender("prod")
        assert connection
        assert connections.for_sender("stage") is None
        for token in ("one", "two"):
            (secrets / "a").write_text(f"{token}-token\n")
            assert connection.applications(time.monotonic() + 10) == []
        (secrets / "a").unlink()
        with pytest.raises(ConnectionFailed, match=r"secret {file: a} .*does not exist"):
            connection.applications(time.monotonic() + 10)
    tokens = [seen.headers["authorization"] for seen in there.seen]
    assert tokens == ["Bearer one-token", "Bearer two-token"]


def test_the_own_cluster_is_told_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the way out."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    settings = _settings(monkeypatch, prod={"kubernetes": {"inCluster": True}})
    with closing(Outbound()) as outbound:
        connection = build_connections(settings, outbound).for_sender("prod")
        assert connection
        with pytest.raises(ConnectionFailed, match=r"own API server: .*runs in no cluster"):
            connection.applications(time.monotonic() + 10)

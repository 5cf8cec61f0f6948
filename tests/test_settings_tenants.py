"""The setting `tenants`: which namespaces may have rules of their own, and within what bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from doors import SENDER, VIEWER, token_file

from receiver.app.composition import read_keys
from receiver.app.connections import warn_of_unknown_senders
from receiver.contract import Rate
from receiver.core.errors import SettingsError
from receiver.core.logs import configure_logs
from receiver.settings.loading import load_settings
from receiver.settings.tenants import tenants_of

BOUNDS = {"namespaces": ["team-a", "shop-*"], "handlers": ["slack.message"]}
GRANT = {"kubernetes": {"inCluster": True}, "bounds": [BOUNDS]}


def test_a_grant_says_whose_rules_may_do_what(tmp_path: Path) -> None:
    """By a glob, too; the first entry that fits counts, and what fits none has no bounds."""
    file = tmp_path / "settings.yaml"
    wide = {"namespaces": ["*-a"], "handlers": ["http.request"]}
    file.write_text(json.dumps({"tenants": GRANT | {"bounds": [BOUNDS, wide]}}))
    tenants = tenants_of(load_settings(file).tenants)
    granted = {name: tenants.of(name) for name in ("team-a", "shop-eu", "team-b-a", "other")}
    assert {name: one and one.handlers for name, one in granted.items()} == {
        "team-a": ("slack.message",),
        "shop-eu": ("slack.message",),
        "team-b-a": ("http.request",),
        "other": None,
    }


def test_without_a_grant_no_namespace_may_have_rules() -> None:
    """That is the default."""
    assert tenants_of(load_settings().tenants).of("default") is None


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ({"bounds": [BOUNDS]}, "kubernetes: is missing"),
        ({"kubernetes": {"inCluster": True}}, "bounds: is missing"),
        (GRANT | {"bounds": []}, "bounds: must not be empty"),
        (GRANT | {"bounds": [{"namespaces": ["a"]}]}, "bounds[0].handlers: is missing"),
        (GRANT | {"bounds": [BOUNDS, {}]}, "bounds[1].namespaces: is missing"),
        (
            GRANT | {"bounds": [BOUNDS | {"namespaces": ["Team A"]}]},
            "bounds[0].namespaces: Team A is no namespace and no glob of one, as team-a or shop-*",
        ),
        (
            GRANT | {"bounds": [BOUNDS | {"projects": ["team-*"]}]},
            "bounds[0].projects: team-* is no project: each is named whole, without a glob",
        ),
        (GRANT | {"bounds": [BOUNDS | {"maxRules": 0}]}, "bounds[0].maxRules: must be at least 1"),
        (
            GRANT | {"bounds": [BOUNDS | {"handler": ["a"]}]},
            "bounds[0].handler: is no setting (did you mean handlers?)",
        ),
        (GRANT | {"destinations": []}, "destinations: must not be empty"),
        (GRANT | {"kubernetes": {}}, "kubernetes: needs inCluster: true or a kubeconfig"),
        (
            GRANT | {"kubernetes": {"inCluster": True, "namespaces": ["a"]}},
            "kubernetes.namespaces: is no setting",
        ),
        (GRANT | {"senders": ["a b"]}, "senders: is no sender's name"),
        (
            GRANT | {"tokens": {"a": ["shop-*"]}},
            "tokens.a: shop-* is no namespace: each is named whole, without a glob",
        ),
        (GRANT | {"tokens": {"a": []}}, "tokens.a: must not be empty"),
        (
            GRANT | {"tokens": {"a": ["other"]}},
            "tokens.a: namespace other may have no rules: no entry of tenants.bounds names it",
        ),
    ],
)
def test_what_is_half_or_doubtful_is_refused(
    setting: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry is named by its number."""
    monkeypatch.setenv("POSTSYNC_TENANTS", json.dumps(setting))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"tenants (POSTSYNC_TENANTS): {told}" in str(caught.value)


def test_a_bound_token_that_is_not_there_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is meant would see all."""
    token_file(tmp_path, "senders/argocd", SENDER)
    token_file(tmp_path, "viewers/team-a", VIEWER)
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))
    for name in ("team-a", "taem-a"):
        setting = GRANT | {"tokens": {name: ["team-a"]}}
        monkeypatch.setenv("POSTSYNC_TENANTS", json.dumps(setting))
        log = configure_logs("json")
        if name == "team-a":
            assert read_keys(load_settings(), log).viewers.names == ["team-a"]
            continue
        with pytest.raises(SettingsError, match=r"tokens\.taem-a: there is no file") as why:
            read_keys(load_settings(), log)
        assert why.value.hint == "did you mean team-a?"


def test_the_rate_of_a_tenant_is_that_of_its_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """None where it says none."""
    limited = BOUNDS | {"namespaces": ["a"], "rate": {"perSecond": 2, "burst": 5}}
    monkeypatch.setenv("POSTSYNC_TENANTS", json.dumps(GRANT | {"bounds": [limited, BOUNDS]}))
    tenants = tenants_of(load_settings().tenants)
    assert (tenants.rate("a"), tenants.rate("team-a")) == (Rate(2, 5), None)


def test_where_several_argo_cds_notify_it_is_said_that_none_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of them has a cluster of the same name."""
    monkeypatch.setenv("POSTSYNC_TENANTS", json.dumps(GRANT))
    warn_of_unknown_senders(load_settings(), ["eu", "us"], configure_logs("json"))
    monkeypatch.setenv("POSTSYNC_TENANTS", json.dumps(GRANT | {"senders": ["eu"]}))
    warn_of_unknown_senders(load_settings(), ["eu", "us"], configure_logs("json"))
    told = capsys.readouterr()
    assert (told.out + told.err).count("tenants.anySender") == 1

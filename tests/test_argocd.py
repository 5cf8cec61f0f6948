"""The notification config for Argo CD: what it holds, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from receiver.cli.argocd_config import URL, argocd_config
from receiver.core.errors import SettingsError
from receiver.notification.argocd_config import notification_config

SHIPPED = Path(__file__).parent.parent / "config/argocd/notifications.yaml"


def data(url: str = URL) -> dict[str, Any]:
    """Give the ConfigMap's keys, each read as the YAML that it holds."""
    config = yaml.safe_load(notification_config(url))
    return {key: yaml.safe_load(value) for key, value in config["data"].items()}


def test_the_shipped_config_is_what_the_command_prints() -> None:
    """config/argocd/notifications.yaml: `postsync argocd-config > FILE` makes it anew."""
    result = CliRunner().invoke(argocd_config, [], catch_exceptions=False)
    assert result.output == SHIPPED.read_text("utf-8")


def test_the_command_takes_address_and_namespace() -> None:
    """Both end up where Argo CD and kubectl look for them."""
    options = ["--url", "https://hooks.example.com/postsync", "--namespace", "gitops"]
    result = CliRunner().invoke(argocd_config, options, catch_exceptions=False)
    config = yaml.safe_load(result.output)
    assert config["metadata"] == {"name": "argocd-notifications-cm", "namespace": "gitops"}
    assert 'url: "https://hooks.example.com/postsync"' in config["data"]["service.webhook.postsync"]
    assert "argocd/" not in result.output.replace(".postsync/senders/argocd", "")
    assert "kubectl --namespace gitops patch secret" in result.output
    assert "__" not in result.output


def test_the_command_prints_json_for_programs() -> None:
    """The same object without its comments."""
    result = CliRunner().invoke(argocd_config, ["--output", "json"], catch_exceptions=False)
    assert json.loads(result.output) == yaml.safe_load(notification_config(URL))


def test_service_template_trigger_and_subscription_name_one_another() -> None:
    """A reference that leads nowhere would stop all notifications of the controller."""
    keys = data()
    assert set(keys) == {
        "service.webhook.postsync",
        "template.post-sync",
        "trigger.on-sync-finished",
        "subscriptions",
    }
    assert set(keys["template.post-sync"]["webhook"]) == {"postsync"}
    assert all(c["send"] == ["post-sync"] for c in keys["trigger.on-sync-finished"])
    assert keys["subscriptions"] == [{"recipients": ["postsync"], "triggers": ["on-sync-finished"]}]


def test_the_service_sends_the_token_from_argo_cds_secret() -> None:
    """The token itself stands in no file: Argo CD puts it in from its own Secret."""
    assert data()["service.webhook.postsync"] == {
        "url": URL,
        "headers": [
            {"name": "Authorization", "value": "Bearer $postsync-token"},
            {"name": "Content-Type", "value": "application/json"},
        ],
    }


def test_the_template_posts_to_the_intake() -> None:
    """Without a method Argo CD would send GET, without a path to the root."""
    webhook = data()["template.post-sync"]["webhook"]["postsync"]
    assert (webhook["method"], webhook["path"]) == ("POST", "/v1/notifications")


def test_the_trigger_has_three_conditions() -> None:
    """Two are sent once for each operation, the one between is tried again until it arrived."""
    first, second, third = data()["trigger.on-sync-finished"]
    assert "finishedAt" in first["oncePer"]
    assert "finishedAt" in third["oncePer"]
    assert "oncePer" not in second
    for condition in (first, second, third):
        assert "in ['Succeeded','Failed','Error']" in condition["when"]


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.7:8080",
        "http://10.0.0.7:8080/",
        "http://10.0.0.7:8080/v1/notifications",
        "http://10.0.0.7:8080/v1/notifications/",
    ],
)
def test_the_address_may_name_the_intake(url: str) -> None:
    """The path comes from the template, whichever way the address was written."""
    assert data(url)["service.webhook.postsync"]["url"] == "http://10.0.0.7:8080"


@pytest.mark.parametrize("url", ["http://[fd00::7]:8080", "https://hooks.example.com/a/b"])
def test_other_addresses_stay_as_they_are(url: str) -> None:
    """An IPv6 address and a path in front of ours are fine."""
    assert data(url)["service.webhook.postsync"]["url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "postsync:8080",
        "ftp://postsync",
        "http://",
        "http://postsync:x",
        "http://postsync:99999",
        "http://[::",
        "http://me:secret@postsync",
        "http://postsync?a=b",
        "http://postsync/$token",
        'http://postsync/"',
        "http://postsync\n",
    ],
)
def test_an_address_that_argo_cd_could_not_use_is_refused(url: str) -> None:
    """No credentials, no query, nothing that would break the YAML or name a secret."""
    with pytest.raises(SettingsError, match="is no address of a receiver"):
        notification_config(url)


@pytest.mark.parametrize("namespace", ["", "Argo CD", "a.b", "-a", "a" * 64, "a\nb"])
def test_a_namespace_must_be_one(namespace: str) -> None:
    """It goes into commands that people copy."""
    with pytest.raises(SettingsError, match="is no Kubernetes namespace"):
        notification_config(URL, namespace=namespace)

"""The pod of the base: restricted, and in agreement with the image and our settings."""

from __future__ import annotations

import re
from typing import Any

import pytest
from manifests import K8S, ROOT, build, find
from pydantic.alias_generators import to_camel

from receiver.settings.loading import load_settings
from receiver.settings.model import Settings
from receiver.settings.tokens import ROLES


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    return dict(find(build(K8S / "base"), "Deployment")["spec"]["template"]["spec"])


@pytest.fixture(scope="module")
def container(pod: dict[str, Any]) -> dict[str, Any]:
    [only] = pod["containers"]
    return dict(only)


def test_the_pod_is_restricted(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """Pod Security's strictest level, and a read-only file system besides."""
    assert "initContainers" not in pod
    assert {key: pod.get(key, False) for key in ("hostNetwork", "hostPID", "hostIPC")} == {
        "hostNetwork": False, "hostPID": False, "hostIPC": False,
    }  # fmt: skip
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    kinds = {key for volume in pod["volumes"] for key in volume} - {"name"}
    assert kinds == {"persistentVolumeClaim", "secret", "configMap", "emptyDir"}


def test_user_and_home_are_those_of_the_image(container: dict[str, Any]) -> None:
    """What both say must agree; the image's command is `postsync`."""
    text = (ROOT / "Dockerfile").read_text()
    assert "\nUSER 10001:10001\n" in text
    assert f"\nEXPOSE {container['ports'][0]['containerPort']}\n" in text
    for variable in container["env"]:
        name, value = variable["name"], variable["value"]
        assert f"{name}={value}" in text.replace("'", "") or name == "POSTSYNC_PORT"


def test_each_variable_is_a_setting(
    container: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And has a value that the settings accept and the rest of the manifest agrees with."""
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    known = {f"POSTSYNC_{name.upper()}" for name in Settings.model_fields}
    assert set(values) <= known
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounts[str(settings.home)] == "home"
    assert [mounts[str(path)] for path in settings.rules] == ["rules"]
    assert settings.port == container["ports"][0]["containerPort"]


def test_the_service_does_not_set_our_port(pod: dict[str, Any], container: dict[str, Any]) -> None:
    """A Service named postsync puts POSTSYNC_PORT=tcp://... into pods with service links."""
    assert pod["enableServiceLinks"] is False
    assert "POSTSYNC_PORT" in {variable["name"] for variable in container["env"]}


def test_tokens_and_secrets_are_folders_below_the_home(
    pod: dict[str, Any], container: dict[str, Any]
) -> None:
    """Each from a Secret of its own, read by our group alone; only the senders' has to be there."""
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert sorted(volumes) == sorted(mount["name"] for mount in mounts.values())
    for role in (*ROLES, "secrets"):
        mount = mounts[f"/var/lib/postsync/{role}"]
        assert mount["readOnly"]
        assert "subPath" not in mount
        assert volumes[mount["name"]]["secret"] == {
            "secretName": f"postsync-{role}", "defaultMode": 0o440,
            **({} if role == "senders" else {"optional": True}),
        }  # fmt: skip
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]


def test_variables_for_rules_are_of_a_secret_that_may_come_later(container: dict[str, Any]) -> None:
    """By their own names, so that a rule, the Secret and the pod say the same."""
    assert container["envFrom"] == [{"secretRef": {"name": "postsync-variables", "optional": True}}]


def test_memory_is_asked_for_as_it_was_measured(container: dict[str, Any]) -> None:
    """Above what the bench has measured under full load, and not twice of it."""
    figures = (ROOT / "bench/README.md").read_text()
    found = re.search(r"memory of all processes under that load \| (\d+) MB", figures)
    assert found
    asked = int(container["resources"]["requests"]["memory"].removesuffix("Mi")) << 20
    assert int(found[1]) * 1_000_000 < asked < 2 * int(found[1]) * 1_000_000
    assert "cpu" not in container["resources"]["limits"]


def test_the_comments_tell_the_defaults_of_today() -> None:
    """Whoever changes one finds its place here."""
    text = (ROOT / "k8s/base/deployment.yaml").read_text()
    assert f"# drain ({Settings.model_fields['drain'].default} s)" in text
    for name in ("maxBody", "maxResources"):
        assert f"({name}," in text
        assert name in map(to_camel, Settings.model_fields)

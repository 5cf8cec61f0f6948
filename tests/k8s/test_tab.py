"""The component that brings the tab into Argo CD."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from manifests import ARGO_CD_SERVER, K8S, Manifest, build, find, with_component

FOLDER = K8S / "overlays/argocd-extension"
SCRIPT = FOLDER / "extension-postsync.js"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    return with_component(FOLDER, ARGO_CD_SERVER, tmp_path_factory.mktemp("tab"))


def test_argo_cds_server_finds_the_script(built: list[Manifest]) -> None:
    """Below the folder that it looks into, in a file of the name that it looks for."""
    spec = find(built, "Deployment")["spec"]["template"]["spec"]
    [mount] = [
        one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "extension-postsync"
    ]
    assert Path(mount["mountPath"]).parent == Path("/tmp/extensions")  # noqa: S108 Argo CD's choice
    [volume] = [one for one in spec["volumes"] if one["name"] == mount["name"]]
    config = find(built, "ConfigMap", volume["configMap"]["name"])
    assert config["data"] == {"extension-postsync.js": SCRIPT.read_text()}
    assert config["metadata"]["namespace"] == "argocd"


def test_its_own_keys_stay(built: list[Manifest]) -> None:
    """And its volumes."""
    before = {
        one["metadata"]["name"]: one for one in yaml.safe_load_all(ARGO_CD_SERVER.read_text())
    }
    own = find(built, "ConfigMap", "argocd-cm")["data"]
    assert own.items() >= before["argocd-cm"]["data"].items()
    spec = find(built, "Deployment")["spec"]["template"]["spec"]
    assert {"name": "tmp", "emptyDir": {}} in spec["volumes"]
    assert spec["containers"][0]["image"]


def test_the_proxy_leads_to_the_service_of_the_base(built: list[Manifest]) -> None:
    """With the token that `argocd-secret` has, once it is switched on."""
    config = yaml.safe_load(find(built, "ConfigMap", "argocd-cm")["data"][
        "extension.config.postsync"
    ])  # fmt: skip
    [target] = config["services"]
    service: dict[str, Any] = find(build(K8S / "base"), "Service")
    name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
    assert target["url"] == f"http://{name}.{namespace}.svc:{service['spec']['ports'][0]['port']}"
    assert target["headers"] == [{"name": "Authorization", "value": "$postsync.authorization"}]
    switches = find(built, "ConfigMap", "argocd-cmd-params-cm")["data"]
    assert switches == {"server.enable.proxy.extension": "true"}

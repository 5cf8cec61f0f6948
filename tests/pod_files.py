"""What a kubelet does before it starts a pod's program: folders of volumes, and variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from manifests import Manifest, find

Secrets = Mapping[str, Mapping[str, str]]
OURS = ("/var/lib/postsync", "/etc/postsync")
"""Where the image has the volumes; here they are below a folder."""


def prepare(manifests: list[Manifest], name: str, secrets: Secrets, root: Path) -> dict[str, str]:
    """Lay out the volumes of a Deployment's pod below a folder; the variables of its container.

    Args:
        manifests: with the Deployment, and the ConfigMaps that it names.
        name: of the Deployment.
        secrets: those that are there; one that is not has to be optional.
        root: the folder; paths in variables are below it as well.
    """
    pod = find(manifests, "Deployment", name)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    volumes = {one["name"]: one for one in pod["volumes"]}
    for mount in sorted(container["volumeMounts"], key=lambda one: str(one["mountPath"])):
        folder = root / mount["mountPath"].lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        for file, text in _contents(volumes[mount["name"]], manifests, secrets):
            (folder / file).write_text(text)
    return dict(_variables(container, secrets, root))


def _contents(
    volume: Mapping[str, Any], manifests: list[Manifest], secrets: Secrets
) -> Iterator[tuple[str, str]]:
    if "secret" in volume:
        named = volume["secret"]
        yield from _of_secret(named["secretName"], named, secrets).items()
    elif "configMap" in volume:
        yield from find(manifests, "ConfigMap", volume["configMap"]["name"])["data"].items()


def _variables(
    container: Mapping[str, Any], secrets: Secrets, root: Path
) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom", ()):
        yield from _of_secret(source["secretRef"]["name"], source["secretRef"], secrets).items()
    for variable in container["env"]:
        if "valueFrom" in variable:
            named = variable["valueFrom"]["secretKeyRef"]
            yield variable["name"], secrets[named["name"]][named["key"]]
            continue
        value = variable["value"]
        for folder in OURS:
            value = value.replace(folder, f"{root}{folder}")
        yield variable["name"], value


def _of_secret(name: str, named: Mapping[str, Any], secrets: Secrets) -> Mapping[str, str]:
    assert name in secrets or named.get("optional"), f"the pod would wait for the Secret {name}"
    return secrets.get(name, {})

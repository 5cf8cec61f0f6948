"""tests/cluster/build: the programs of a control plane are built once, or the reason is said."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from service import ROOT

BUILD = ROOT / "tests/cluster/build"
GO = """\
#!/bin/sh
# As `go build -v -o FILE PACKAGE`: tells the packages, and writes the program.
while [ "$1" != -o ]; do shift; done
seq -f 'k8s.io/api/v%g' 250
case "$3" in *broken) echo 'error: no such package' ;; *) echo "$3" > "$2"; chmod +x "$2" ;; esac
"""
PROGRAMS = {"etcd", "kube-apiserver", "kube-controller-manager"}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of programs that has no go yet, beside what Debian has in /usr/bin."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def _build(
    tools: Path, cache: Path, *more: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{tools}:/usr/bin:/bin", **variables}
    return subprocess.run(
        [BUILD, cache, *more], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def _go(tools: Path, script: str = GO) -> None:
    (tools / "go").write_text(script)
    (tools / "go").chmod(0o755)


def test_what_is_missing_is_built_with_progress(tools: Path, tmp_path: Path) -> None:
    """All of them, and nothing half is left."""
    _go(tools)
    done = _build(tools, tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert {file.name for file in (tmp_path / "cache").iterdir()} == PROGRAMS
    assert "cluster: kube-apiserver, 200 packages" in done.stderr


def test_helm_is_built_by_itself(tools: Path, tmp_path: Path) -> None:
    """Of a module of its own, whose libraries are of another Kubernetes."""
    _go(tools)
    done = _build(tools, tmp_path / "cache", "helm")
    assert done.returncode == 0, done.stderr
    (built,) = (tmp_path / "cache").iterdir()
    assert (built.name, built.read_text()) == ("helm", "helm.sh/helm/v3/cmd/helm\n")


def test_what_is_there_is_not_built_again(tools: Path, tmp_path: Path) -> None:
    """In the cache, or among the assets of envtest, which lack the controller manager."""
    assets = tmp_path / "assets"
    assets.mkdir()
    _go(tools)
    for name in ("etcd", "kube-apiserver"):
        (assets / name).write_text("there")
        (assets / name).chmod(0o755)
    given = {"KUBEBUILDER_ASSETS": str(assets)}
    assert _build(tools, tmp_path / "cache", **given).returncode == 0
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["kube-controller-manager"]
    (tools / "go").unlink()
    again = _build(tools, tmp_path / "cache", **given)
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_failed_build_is_told_and_leaves_nothing(tools: Path, tmp_path: Path) -> None:
    """With what go says."""
    _go(tools, GO.replace("*broken", "*"))
    done = _build(tools, tmp_path / "cache")
    assert done.returncode == 1
    assert "error: no such package" in done.stderr
    assert "etcd could not be built" in done.stdout
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.skipif(Path("/usr/bin/go").exists(), reason="go is in /usr/bin")
def test_without_go_the_reason_is_said(tools: Path, tmp_path: Path) -> None:
    """No folder is made."""
    done = _build(tools, tmp_path / "cache")
    assert (done.returncode, (tmp_path / "cache").exists()) == (1, False)
    assert "no go here to build etcd kube-apiserver kube-controller-manager" in done.stdout

"""What Helm makes of the chart."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from control_plane import CACHES, RELEASE
from manifests import ROOT, Manifest

CHART = ROOT / "charts/postsync"
_MODULE = (ROOT / "tests/helm/go.mod").read_text()
_RELEASE = str(re.findall(r"^require helm.sh/helm/v3 v(\S+)", _MODULE, re.MULTILINE)[0])
HELM = CACHES / f"postsync-tests/helm-{_RELEASE}/helm"
"""Where `make test-deps` builds it."""

Values = Mapping[str, Any]


def helm(*words: str | Path, given: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run Helm with something on its stdin, or skip the test with its reason."""
    if not HELM.exists():
        pytest.skip("no Helm here; `make test-deps` builds it with Go")
    # A folder that is not there: no plugin and no setting of the user's.
    own = {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin", **environ}
    return subprocess.run(
        [HELM, *words], input=given, text=True, capture_output=True, check=False, env=own
    )


def template(
    values: Values, *more: str, release: str = "postsync"
) -> subprocess.CompletedProcess[str]:
    """Render the chart as a release of the namespace `postsync`."""
    words = ("--namespace", "postsync", "--kube-version", RELEASE, *more)
    return helm(
        "template", release, CHART, *words, "--values", "-", given=yaml.safe_dump(dict(values))
    )


def render(values: Values) -> list[Manifest]:
    """All objects of the chart for these values."""
    done = template(values)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def refused(values: Values) -> str:
    """What Helm says of values that it does not take."""
    done = template(values)
    assert done.returncode == 1, done.stdout
    return done.stderr


@functools.cache
def shown() -> dict[str, Values]:
    """The values that docs/helm.md shows, by their names."""
    page = (ROOT / "docs/helm.md").read_text()
    found = re.findall(r"<!-- values (\S+) -->\n```yaml\n(.*?)```", page, re.DOTALL)
    return {name: yaml.safe_load(text) for name, text in found}

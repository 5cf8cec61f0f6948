"""`make` sets up with whatever Python from 3.11 on is here, says which, or what is missing.

The Pythons are stand-ins of other ages: what they are asked is answered by the real one, which
takes itself for another, and what they set up is a folder with the pip that `make` calls.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from service import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

TOOLS = ("make", "sh", "mkdir", "touch", "chmod", "sed")
PYTHON = """\
#!/bin/sh
if [ "$1" = -m ]; then
  mkdir -p .venv/bin
  echo '#!/bin/sh' > .venv/bin/pip
  echo '#!/bin/sh' > .venv/bin/postsync
  echo 'echo "postsync $* (banner $POSTSYNC_BANNER)"' >> .venv/bin/postsync
  chmod +x .venv/bin/pip .venv/bin/postsync
  echo "{name} $*" > .venv/made-by
  exit
fi
exec {real} -c 'import sys; sys.version_info = ({version}, 1, "final", 0)
{more}
exec(sys.argv[1])' "$2"
"""


class Machine:
    """A checkout, and a PATH with nothing but the tools that `make` needs."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.programs = folder / "checkout", folder / "bin"
        (self.checkout / ".ci").mkdir(parents=True)
        for name in ("Makefile", ".ci/find-python", "pyproject.toml"):
            shutil.copy(ROOT / name, self.checkout / name)
        (self.checkout / "requirements.lock").touch()
        (self.programs / "system").mkdir(parents=True)
        for name in TOOLS:
            (self.programs / name).symlink_to(shutil.which(name) or name)

    def python(self, name: str, version: str, *, bare: bool = False) -> None:
        more = 'sys.modules["ensurepip"] = None' if bare else ""
        text = PYTHON.format(
            name=name, real=sys.executable, version=version.replace(".", ", "), more=more
        )
        self.program(name, text)

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def make(self, *words: str) -> tuple[int, str]:
        """Set up; the exit code, and what is said of Python."""
        done = self.call(".venv/.run", *words)
        lines = done.stderr.splitlines()
        said = [one for one in lines if one.startswith("make: ") and "***" not in one]
        return done.returncode, "\n".join(said)

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", f"SYSTEM_PYTHON={self.programs}/system/python3", *words],
            cwd=self.checkout,
            env={"PATH": str(self.programs)},
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def made_by(self) -> str:
        return (self.checkout / ".venv/made-by").read_text().strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_python3_is_taken_and_told(machine: Machine, version: str) -> None:
    """Of Debian 12 and 13, of Ubuntu 24.04, and newer ones."""
    machine.python("python3", version)
    machine.python("python3.11", "3.11")
    assert machine.make() == (0, f"make: setting up with python3, which is Python {version}")
    assert machine.made_by() == "python3 -m venv --clear .venv"


def test_the_distributions_own_comes_first(machine: Machine) -> None:
    """It runs everything in less time than one that was built by hand."""
    machine.python("python3", "3.13")
    machine.python("system/python3", "3.11")
    own = f"{machine.programs}/system/python3"
    assert machine.make() == (0, f"make: setting up with {own}, which is Python 3.11")
    assert machine.made_by().startswith("system/python3 ")


@pytest.mark.parametrize(("version", "bare"), [("3.10", False), ("3.12", True)])
def test_another_is_taken_where_the_distributions_own_will_not_do(
    machine: Machine, version: str, bare: bool
) -> None:
    """That of Ubuntu 22.04 is too old, and python3-venv may be missing."""
    machine.python("python3", "3.13")
    machine.python("system/python3", version, bare=bare)
    assert machine.make() == (0, "make: setting up with python3, which is Python 3.13")


def test_another_is_taken_where_python3_is_too_old_or_bare(machine: Machine) -> None:
    """A shim of pyenv that leads nowhere is passed over as well."""
    machine.python("python3", "3.9")
    machine.program(
        "python3.14", "#!/bin/sh\necho 'pyenv: python3.14: command not found' >&2; exit 127"
    )
    machine.python("python3.13", "3.13", bare=True)
    machine.python("python3.12", "3.12")
    assert machine.make() == (0, "make: setting up with python3.12, which is Python 3.12")
    assert machine.made_by().startswith("python3.12 ")


def test_the_named_one_is_taken(machine: Machine) -> None:
    """And no other in its place."""
    machine.python("python3", "3.13")
    machine.python("python3.12", "3.12")
    assert machine.make("PYTHON=python3.12")[0] == 0
    assert machine.made_by().startswith("python3.12 ")
    code, said = machine.make("PYTHON=python3.11", "--always-make")
    assert code == 2
    assert said == "make: there is no python3.11 that runs; name another with PYTHON="


def test_run_says_what_it_does_in_lines(machine: Machine) -> None:
    """Before what takes long; the server's address is asked for also where no terminal is."""
    machine.python("python3", "3.12")
    for token in ("senders/argocd", "operators/local"):
        (machine.checkout / ".postsync" / token).parent.mkdir(parents=True)
        (machine.checkout / ".postsync" / token).touch()
    said = machine.call("run").stdout
    assert said.splitlines() == [
        "make: installing what Postsync needs into .venv, once; it may take a minute or two",
        "make: installing Postsync itself",
        "make: starting the server; another terminal begins with: . .venv/bin/activate",
        "postsync serve (banner 1)",
    ]
    again = machine.call("run").stdout.splitlines()
    assert again == said.splitlines()[2:]


NO_VENV = (
    "make: python3 is Python 3.12 and cannot make a virtual environment; on Debian and Ubuntu: "
    "apt-get install python3.12-venv, or name another with PYTHON="
)
TOO_OLD = (
    "make: python3 is Python 3.9, and Postsync needs 3.11 or newer; install one, or name another "
    "with PYTHON="
)
NONE = (
    "make: there is no Python here (none of: python3 python3.14 python3.13 python3.12 python3.11); "
    "on Debian and Ubuntu: apt-get install python3 python3-venv, or name another with PYTHON="
)


@pytest.mark.parametrize(
    ("version", "bare", "told"),
    [("3.12", True, NO_VENV), ("3.9", False, TOO_OLD), ("", False, NONE)],
)
def test_what_is_missing_is_told_with_the_way_out(
    machine: Machine, version: str, bare: bool, told: str
) -> None:
    """No virtual environment, none that is new enough, none at all; nothing is set up then."""
    if version:
        machine.python("python3", version, bare=bare)
    assert machine.make() == (2, told)
    assert not (machine.checkout / ".venv").exists()


@pytest.mark.xdist_group("groups")
def test_the_scheduler_sees_the_groups(request: pytest.FixtureRequest) -> None:
    """It finds them in the ids; else each worker starts a cluster of its own, and all pass."""
    scheduled = request.config.getoption("loadgroup", default=False)
    assert request.node.nodeid.endswith("@groups") or not scheduled

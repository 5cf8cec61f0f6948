"""Builds into dist/ what a release is made of: of one commit the same bytes, on any day, anywhere.

A source distribution, a wheel made of it, the Helm chart, for each lock a list of what it installs
(CycloneDX), and the sums of all. `make dist` runs it, with the folder of the wheels that are kept.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

CHART = "charts/postsync"
LOCKS = {"requirements.lock": "", "requirements-extras.lock": "-extras"}
"""Each lock, and what the name of its list of packages ends with."""
LISTING = """
import runpy, sys
sys.modules["rfc3987_syntax"] = None
runpy.run_module("cyclonedx_py", run_name="__main__", alter_sys=True)
"""
"""cyclonedx_py, without the grammar of addresses: to check those of 150 packages by it takes 16 s
where all else takes 1 s (measured), and they are the packages' own."""


def main(kept: Path) -> None:
    """Build from the last commit of the checkout that this is run in."""
    checkout, made = Path.cwd(), Path("dist")
    if uncommitted := _told(checkout, "status", "--porcelain"):
        sys.exit(f"make dist: a release is made of a commit; commit or stash first:\n{uncommitted}")
    with tempfile.TemporaryDirectory() as name:
        built = Path(name, "dist")
        wheel = archives(checkout, built)
        for lock, ending in LOCKS.items():
            venv = Path(name, "venv" + ending)
            install(checkout / lock, wheel, venv, kept)
            listed = built / f"{wheel.name.partition('-py3')[0]}{ending}.cdx.json"
            listed.write_bytes(packages(venv, checkout))
        _sum(built)
        shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(built, made)
    sys.stdout.writelines(f"{path}\n" for path in sorted(made.iterdir()))


def archives(checkout: Path, folder: Path) -> Path:
    """Build source distribution, wheel and chart of the last commit, and check them; the wheel."""
    when = _told(checkout, "log", "-1", "--format=%ct")
    with tempfile.TemporaryDirectory() as source:
        # What is committed, and nothing that lies about beside it.
        archive = _done(["git", "-c", "tar.umask=0022", "archive", "HEAD"], {}, checkout)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            # Python has a filter from 3.11.4 on, and Debian 12 has 3.11.2.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(source)  # noqa: S202 our own archive
        _python("build", "--no-isolation", "--outdir", str(folder), source, SOURCE_DATE_EPOCH=when)
    [sdist], [wheel] = folder.glob("*.tar.gz"), folder.glob("*.whl")
    sdist.write_bytes(_without_owner(sdist.read_bytes(), int(when)))
    # What `helm package` makes, which would put the time of the build into it.
    chart = ["git", "-c", "tar.umask=0022", "archive", "--prefix=postsync/", f"HEAD:{CHART}"]
    packed = _without_owner(_done(chart, {}, checkout), int(when))
    (folder / f"postsync-{wheel.name.split('-')[1]}.tgz").write_bytes(packed)
    _python("twine", "check", "--strict", str(sdist), str(wheel))
    return wheel


def install(lock: Path, wheel: Path, venv: Path, kept: Path) -> None:
    """Make a virtual environment with what a lock and a wheel say, and nothing else."""
    _python("venv", "--without-pip", str(venv))
    # By its name: by its address it would be listed as coming from this very folder.
    ours = ["--no-index", "--find-links", str(wheel.parent), wheel.name.partition("-")[0]]
    tools, installer = Path(sys.executable).parent, Path(__file__).with_name("install")
    _done([str(installer), str(venv), str(kept), str(lock), str(tools)], {})
    uv = [str(tools / "uv"), "pip"]
    _done([*uv, "install", "--python", str(venv), "--no-deps", *ours], {})
    # In the locks to build from a checkout; a wheel is built already.
    _done([*uv, "uninstall", "--python", str(venv), "setuptools"], {})


def packages(venv: Path, checkout: Path) -> bytes:
    """List what is installed: versions, licences, what needs what."""
    said = ["--pyproject", str(checkout / "pyproject.toml"), "--mc-type", "application"]
    words = ["environment", "--output-reproducible", *said, str(venv)]
    return _done([sys.executable, "-c", LISTING, *words], {})


def _told(checkout: Path, *words: str) -> str:
    return _done(["git", *words], {}, checkout).decode().strip()


def _python(*words: str, **environ: str) -> bytes:
    """Run a module of the Python that runs this; what it printed."""
    return _done([sys.executable, "-m", *words], environ)


def _done(words: list[str], environ: Mapping[str, str], cwd: Path | None = None) -> bytes:
    """Run a tool quietly; what it said is shown where it failed. Modes get into the archives."""
    done = subprocess.run(  # noqa: S603 programs that this file names
        words, cwd=cwd, env={**os.environ, **environ}, umask=0o022, check=False, capture_output=True
    )
    if done.returncode:
        told = (done.stdout + done.stderr).decode(errors="replace")
        sys.exit(f"{told}\nmake dist: failed: {' '.join(words)}")
    return done.stdout


def _without_owner(archive: bytes, when: int) -> bytes:
    """An archive as nobody's, of the commit's time, in order.

    setuptools keeps to SOURCE_DATE_EPOCH in wheels alone, and git to no time for a folder.
    """
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive)) as before,
        gzip.GzipFile("", "wb", fileobj=packed, mtime=when) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as after,
    ):
        for member in sorted(before.getmembers(), key=lambda one: one.name):
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime, member.pax_headers = when, {}
            after.addfile(member, before.extractfile(member) if member.isfile() else None)
    return packed.getvalue()


def _sum(folder: Path) -> None:
    """For `sha256sum --check`."""
    sums = {path.name: hashlib.sha256(path.read_bytes()) for path in sorted(folder.iterdir())}
    lines = [f"{digest.hexdigest()}  {name}\n" for name, digest in sums.items()]
    (folder / "SHA256SUMS").write_text("".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

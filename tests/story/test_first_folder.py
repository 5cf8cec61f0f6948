"""From an empty folder to the story of a first sync, by the commands that `init` says to type."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from forked import start
from forked_shell import forking_postsync
from service import free_port, wait_for

SHELL = "HOME", "PATH", "LANG"
"""Variables of a new user's shell."""


def test_what_init_says_to_type_works(tmp_path: Path) -> None:
    """Word by word; the port alone is another, since here others may have the usual one."""
    port = free_port()
    environ = {name: value for name, value in os.environ.items() if name in SHELL}
    environ |= {"POSTSYNC_PORT": str(port), "POSTSYNC_URL": f"http://127.0.0.1:{port}"}
    with forking_postsync(tmp_path) as programs:
        environ["PATH"] = f"{programs}{os.pathsep}{environ['PATH']}"
        answer = json.loads(_shell(["postsync init shop --output json"], tmp_path, environ))
        here, beside = answer["next"], answer["nextBeside"]
        told = _shell(here[:-1], tmp_path, environ)
        assert "1 rule in 1 file" in told
        assert "shop-config-changed" in told
        assert here[-1] == "postsync serve"
        shop = tmp_path / "shop"
        served = environ | {"POSTSYNC_SETTINGS": "settings.yaml"}
        log = tmp_path / "log"
        server = start("serve", cwd=shop, environ=served, log=log)
        try:
            wait_for(lambda: _alive(tmp_path, environ), 30, "the server")
            story = _shell(beside, tmp_path, environ)
        finally:
            os.kill(server.pid, signal.SIGTERM)
            server.wait(60)
    assert "verdict  accepted" in story
    assert "shop-config-changed: succeeded" in story
    assert (shop / ".postsync/ledger.db").is_file()


def _alive(folder: Path, environ: dict[str, str]) -> bool:
    command = ["postsync", "health"]
    return not subprocess.run(command, cwd=folder, env=environ, check=False, timeout=60,
                              capture_output=True).returncode  # fmt: skip


def _shell(commands: list[str], folder: Path, environ: dict[str, str]) -> str:
    """Run them in a shell that stops at the first error; return what is printed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(commands)], cwd=folder, env=environ,
        check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout

"""A distribution with handlers, as a third party installs one beside the receiver."""

from __future__ import annotations

from pathlib import Path


def distribution(site: Path, module: str, text: str) -> Path:
    """Write it into a folder of the import path; ``text`` defines a list of ``handlers``."""
    about = site / "bad-1.dist-info"
    about.mkdir(parents=True, exist_ok=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[postsync.handlers]\nbad = {module}:handlers\n")
    (site / f"{module}.py").write_text(text)
    return site

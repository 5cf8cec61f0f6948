"""`postsync init`: makes a folder to begin with."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from receiver.cli import options
from receiver.cli.screen import Styled, write_json, write_line
from receiver.cli.starter import StarterFile, starter_files
from receiver.core.errors import PostsyncError


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@options.output()
def init(*, folder: Path, output: str) -> None:
    """Make what is needed to begin with in FOLDER, by default this one.

    Settings, a first rule, a notification to try it with, and two tokens that this user alone
    may read; then it says what to type next. Nothing that is there is overwritten.

    \b
      postsync init shop
    """  # noqa: D301 click's \b keeps the lines
    made = [*starter_files()]
    _refuse_to_overwrite(folder, made)
    _write(folder, made)
    here, there = _next(folder)
    if output == "json":
        paths = [str(folder / one.path) for one in made]
        write_json({"folder": str(folder), "files": paths, "next": here, "nextBeside": there})
        return
    write_line(f"made in {folder.resolve()}:")
    width = max(len(one.path) for one in made)
    for one in made:
        if one.about:
            write_line(f"  {one.path:<{width}}  {one.about}")
    _write_commands("next:", here)
    _write_commands("and in another terminal, while it serves:", there)


def _next(folder: Path) -> tuple[list[str], list[str]]:
    """Return what to type: here, and beside the server."""
    enter = (
        f'cd {shlex.quote(str(folder.resolve()))} && export POSTSYNC_SETTINGS="$PWD/settings.yaml"'
    )
    return (
        [enter, "postsync check", "postsync explain notification.json", "postsync serve"],
        [enter, "postsync send notification.json --now", "postsync show last --wait 10"],
    )


def _write_commands(heading: str, commands: Sequence[str]) -> None:
    write_line()
    write_line(Styled(heading, bold=True))
    for command in commands:
        write_line(f"  {command}")


def _refuse_to_overwrite(folder: Path, made: Sequence[StarterFile]) -> None:
    if os.path.lexists(folder) and not folder.is_dir():
        raise PostsyncError(f"{folder} is no folder", hint="`postsync init FOLDER` makes one")
    if there := [one.path for one in made if os.path.lexists(folder / one.path)]:
        raise PostsyncError(
            f"{folder} has {', '.join(there)} already, and nothing was written",
            hint="`postsync init FOLDER` takes another folder, or move these away",
        )


def _write(folder: Path, made: Sequence[StarterFile]) -> None:
    """Write all of the files, or none.

    Raises:
        PostsyncError: one cannot be written.
    """
    written: list[Path] = []
    for one in made:
        path = folder / one.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if one.secret else 0o777)
            path.touch(mode=0o600 if one.secret else 0o666, exist_ok=False)
            written.append(path)
            path.write_bytes(one.text.encode())
        except OSError as error:
            for path_written in written:
                path_written.unlink()
            raise PostsyncError(
                f"{error.filename or path} cannot be made: {error.strerror}",
                hint="none of the files is left",
            ) from None

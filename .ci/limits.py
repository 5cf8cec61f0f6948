"""Names each function that is too long, or has too many branches, to be read at once.

A line counts from the first decorator to the last statement, the docstring included; a branch as
radon counts it: also each `and`, `or` and each loop and condition of a comprehension.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from radon.complexity import cc_visit_ast
from radon.visitors import Function

LINES = 40
BRANCHES = 12
FOLDERS = ("receiver", "handlers")


def too_large(file: Path) -> Iterator[str]:
    """Yield what to say of each function in the file that is above a limit."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            lines = (node.end_lineno or first) - first + 1
            if lines > LINES:
                yield f"{file}:{first}: {node.name} has {lines} lines, at most {LINES} are allowed"
    for block in cc_visit_ast(tree):
        if isinstance(block, Function) and block.complexity > BRANCHES:
            yield (
                f"{file}:{block.lineno}: {block.fullname} has a complexity of {block.complexity}, "
                f"at most {BRANCHES} is allowed"
            )


def main() -> int:
    """Print what is above a limit; 1 if anything is."""
    files = sorted(file for folder in FOLDERS for file in Path(folder).rglob("*.py"))
    found = [line for file in files for line in too_large(file)]
    sys.stderr.writelines(f"{line}\n" for line in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

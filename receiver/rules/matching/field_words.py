"""What became of the fields that a selector asks for, in words."""

from __future__ import annotations

from collections.abc import Sequence

from receiver.core.model import FieldChange, Live

POLICY = "onUnknownChange: run"


def why_refused(paths: Sequence[str], live: Live) -> str:
    """Say why none of the fields counts as changed."""
    if unknown := _unknown(paths, live):
        return f"it is not known whether its fields changed: {unknown}"
    absent = [path for path in paths if _of(path, live).after is None]
    there = [path for path in paths if path not in absent]
    found = [f"as before: {', '.join(there)}"] if there else []
    found += [f"not in the object, now or before: {', '.join(absent)}"] if absent else []
    return f"its fields are {'; '.join(found)}"


def why_matched(paths: Sequence[str], live: Live) -> str:
    """Say which fields changed, or perhaps did."""
    if changed := [path for path in paths if _of(path, live).changed]:
        return f"{', '.join(changed)} changed"
    return f"its fields perhaps changed ({_unknown(paths, live)}; {POLICY})"


def _unknown(paths: Sequence[str], live: Live) -> str:
    """Return why a field is unknown, with its path; "" if none is."""
    found = ((path, _of(path, live).unknown) for path in paths)
    return next((f"{path}: {why}" for path, why in found if why), "")


def _of(path: str, live: Live) -> FieldChange:
    return live.fields.get(path) or FieldChange(unknown=live.unknown)

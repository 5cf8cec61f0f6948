"""What bounds each aim that is not reached, and what it would take, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from bounds_loads import (
    BARE,
    BARE_ON_ONE,
    CURL,
    FROZEN,
    INTAKE,
    INTAKE_FLOOR,
    SHARED,
    SHARED_FLOOR,
    WEBHOOK,
    WHOLE,
    WHOLE_FLOOR,
    WORKERS,
    WORKERS_FLOOR,
)
from bounds_measured import Found
from budget import CORES, Seen


@dataclass(frozen=True)
class Aim:
    """A ratio that is aimed at, what has it, to which yardstick, and the floor of it.

    ``processes`` is how many Python processes each of its parts has; each keeps to one core.
    """

    of: str
    to: str
    floor: str
    ratio: float
    processes: Mapping[str, int]


RATES = (
    Aim(INTAKE, BARE, INTAKE_FLOOR, 1.0, {"intake": 1}),
    Aim(SHARED, WEBHOOK, SHARED_FLOOR, 0.9, {"intake": 2}),
    Aim(WHOLE, CURL, WHOLE_FLOOR, 3.5, {"intake": 1, "dispatcher": 1}),
    Aim(WORKERS, CURL, WORKERS_FLOOR, 2.0, {"intake": 1, "workers": 2}),
)
CPU_AIM, BYTES_AIM = 1.8, 15.0
"""Milliseconds of one notification, and kilobytes that the dispatcher writes a run."""


def sentences(found: Found) -> list[str]:
    """What bounds each aim, and what it would take."""
    return [*(of_rate(found, aim) for aim in RATES), of_cpu(found), of_bytes(found)]


def of_rate(found: Found, aim: Aim) -> str:
    seen, base = found.loads[aim.of], found.loads[aim.to]
    floor, wanted = found.loads[aim.floor], aim.ratio * found.loads[aim.to].rate
    text = (
        f"**{aim.of}, to {aim.to}**: {seen.rate / base.rate:.2f} ({seen.rate:.0f} to "
        f"{base.rate:.0f} /s); the aim of {aim.ratio:g} is {wanted:.0f} /s. The floor reaches "
        f"{floor.rate / base.rate:.2f} ({floor.rate:.0f} /s). At the aim {CORES} cores have "
        f"{CORES * 1000 / wanted:.2f} ms for everything of a notification; ours takes "
        f"{seen.each:.2f}, the floor {floor.each:.2f}, the load itself {seen.load:.2f} of both. "
    )
    text += _takes(aim, seen, wanted)
    if aim.of == INTAKE:
        frozen, one = found.loads[FROZEN], found.loads[BARE_ON_ONE]
        text += (
            f" With its dispatcher frozen, which plans each beside the load on the other core, "
            f"it accepts {frozen.rate:.0f} ({frozen.rate / base.rate:.2f}). The bare view kept to "
            f"one core, as Postsync's processes are, answers {one.rate:.0f}, and stores nothing."
        )
    return text


def _takes(aim: Aim, seen: Seen, wanted: float) -> str:
    """What it would take: of all cores, of a process's own core, or of how they are shared."""
    over = seen.each - CORES * 1000 / wanted
    if over > 0:
        return f"It would take {over:.2f} ms less."
    for part, processes in aim.processes.items():
        room, own = processes * 1000 / wanted, seen.costs[part].cpu
        if own > room:
            return (
                f"That would do; but one Python process keeps to one core, so the {part} has "
                f"{room:.2f} ms for each, and takes {own:.2f}."
            )
    shares = ", ".join(f"{part} {cores:.2f}" for part, cores in seen.cores.items())
    return f"That would do; what bounds it is how the cores were shared: {shares}."


def of_cpu(found: Found) -> str:
    seen, floor = found.loads[WHOLE], found.loads[WHOLE_FLOOR]
    ours_, theirs = (sum(_own(one).values()) for one in (seen, floor))
    return (
        f"**CPU of one notification**: {ours_:.2f} ms, aim {CPU_AIM:g}. The floor takes "
        f"{theirs:.2f} ({_parts(floor)}), with Flask and gunicorn as they are, and decides "
        f"nothing. To reach the aim, {max(0.0, ours_ - CPU_AIM):.2f} ms have to go; the largest "
        f"stages of the dispatcher are {_largest(found)}."
    )


def _own(seen: Seen) -> dict[str, float]:
    return {name: cost.cpu for name, cost in seen.costs.items() if name != "target"}


def _parts(seen: Seen) -> str:
    return " + ".join(f"{name} {value:.2f}" for name, value in _own(seen).items())


def _largest(found: Found) -> str:
    shares = found.stages["SQLite"]["dispatcher"]
    each = found.loads[WHOLE].costs["dispatcher"].cpu
    most = Counter(shares).most_common(4)
    return ", ".join(f"{name} ({share * each:.2f} ms)" for name, share in most)


def of_bytes(found: Found) -> str:
    seen, whole_way = found.written, found.loads[WHOLE].costs["dispatcher"].written
    moved = whole_way - seen.logged - seen.lines
    first = seen.trees / seen.runs * seen.page
    text = (
        f"**Written a run**: {whole_way:.1f} KB, aim {BYTES_AIM:g}: {seen.logged:.1f} in the log, "
        f"{moved:.1f} moved from it into the file, {seen.lines:.1f} of lines on stdout. One "
        f"transaction has {seen.runs:.1f} runs and touches {seen.trees:.1f} tables and indexes; "
        f"one page of each is {first:.1f} KB a run, before any of them has a second."
    )
    over = whole_way - BYTES_AIM
    if 0 < over < first:
        runs = seen.runs * first / (first - over)
        return f"{text} {runs:.0f} runs a transaction would write {BYTES_AIM:g} KB."
    return text

"""Cores: each process of a host keeps to one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import islice

from receiver.app.supervisor import cycle_cores

SCRIPT = """
import os, sys, threading
from receiver.app.supervisor import cycle_cores, pin_to_core

pin_to_core(next(cycle_cores()))
seen = [os.sched_getaffinity(0)]
thread = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
thread.start()
thread.join()
assert len(seen[0]) == 1 and seen[0] == seen[1], seen
pin_to_core(100_000)
assert os.sched_getaffinity(0) == seen[0]
"""


def test_neighbours_get_different_cores_as_far_as_there_are_any() -> None:
    """The cores that we may use are dealt in turn, each as often as the others."""
    ours = os.sched_getaffinity(0)
    dealt = list(islice(cycle_cores(), 2 * len(ours)))
    assert sorted(dealt) == sorted([*ours, *ours])
    assert set(dealt[: len(ours)]) == ours


def test_a_process_and_its_threads_keep_to_the_core_and_an_impossible_one_is_passed_over() -> None:
    """What is started later stays there as well; a core that is not ours changes nothing."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=30)

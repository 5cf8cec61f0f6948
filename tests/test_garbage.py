"""When Python's collector is not at work."""

from __future__ import annotations

import gc

import pytest

from receiver.core.garbage import no_collections


def test_it_is_at_work_again_after_the_block() -> None:
    """Also after blocks within it, and after one that fails."""
    with no_collections():
        with no_collections():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), no_collections():
        _ = 1 / 0
    assert gc.isenabled()


def test_blocks_of_two_threads_leave_it_at_work() -> None:
    """Whichever of them ends first."""
    first, second = no_collections(), no_collections()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.isenabled()

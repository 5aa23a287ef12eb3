"""Signals reach the thread that answers them, whatever else runs in an action plugin.

No unit test: it brings the control machine's part of Ansible into its process.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run.progress import LINES
from ansible_collections.iac.ds_stack.plugins.plugin_utils import progress


class Interrupted(BaseException):
    """What a signal raises, as Ansible's alarm of a task timeout does."""


@pytest.fixture
def interrupts() -> Iterator[None]:
    def interrupt(_number: int, _frame: object) -> None:
        raise Interrupted

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGALRM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def blocked_in(work: list[set[int]]) -> None:
    work.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, ())))


def test_a_thread_gets_no_signal_and_its_starter_all() -> None:
    seen: list[set[int]] = []
    thread = threading.Thread(target=blocked_in, args=(seen,))
    with progress.signals_for_this_thread():
        thread.start()
    thread.join()
    blocked_in(seen)
    assert {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM} <= seen[0]
    assert not {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM} & seen[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGALRM])
def test_the_follower_leaves_signals_to_what_waits_for_the_module(
    interrupts: None, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / LINES).touch()
    follower = progress.Follower(tmp_path, lambda _lines: None, lambda _question: "", lambda: None)
    never_r, never_w = os.pipe()
    for _ in range(5):  # the kernel chooses among the threads that take it
        with pytest.raises(Interrupted), follower:
            os.kill(os.getpid(), number)
            os.read(never_r, 1)
        follower = progress.Follower(tmp_path, lambda _lines: None, lambda _question: "", lambda: None)
    os.close(never_r)
    os.close(never_w)


def test_a_signal_that_comes_meanwhile_is_not_lost(interrupts: None) -> None:
    with pytest.raises(Interrupted), progress.signals_for_this_thread():
        os.kill(os.getpid(), signal.SIGTERM)

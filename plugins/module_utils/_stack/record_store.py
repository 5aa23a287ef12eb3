# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stack's record and its lock in Parameter Store, and the regions in which a stack is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from .parameters import NAME_TAG, ParameterError, ParameterStore, Paths
from .record import Lock, Record, Texts, join, parts_named

AT_ONCE = 16
SEARCH_SECONDS = 20.0
"""For all regions together: a person waits."""
TRIES = 3


@dataclass(frozen=True)
class RecordStore:
    """What is kept of one stack beside its parts. All methods raise ParameterError."""

    store: ParameterStore
    paths: Paths

    def read(self) -> Record | None:
        """Return the record, or None where there is none. Raises RecordError."""
        name = self.paths.record
        for last in (False, True):
            head = self.store.get(name)
            if head is None:
                return None
            parts: Mapping[str, str] = {}
            if parts_named(head.value, name):
                parts = {part: one.value for part, one in self.store.below(name).items()}
            # Somebody may write it just now: then what was read first is not what it is any more.
            if last or all(part in parts for part in parts_named(head.value, name)):
                return Record.parse(join(head.value, parts, name), name)
        return None

    def write(self, record: Record) -> None:
        """Write the record: what is below it first, and what was below the last one is removed last."""
        texts, name = Texts.of(record), self.paths.record
        before = self.store.below(name)
        for part, text in texts.parts.items():
            if part not in before:
                self._put(f"{name}/{part}", text, "A part of the stack's record", new=True)
        there = self.store.get(name)
        if there is None or there.value != texts.head:
            self._put(name, texts.head, "The stack's record", new=there is None)
        self.store.delete([f"{name}/{part}" for part in before if part not in texts.parts])

    def lock(self) -> Lock | None:
        """Return who holds the lock."""
        found = self.store.get(self.paths.lock)
        return Lock.parse(found.value) if found else None

    def take(self, lock: Lock) -> Lock | None:
        """Take the lock; return who holds it instead, None when it is taken."""
        for _try in range(TRIES):
            try:
                self._put(self.paths.lock, lock.text(), "Who changes the stack at present", new=True)
            except ParameterError as error:
                if code_of(error) != "ParameterAlreadyExists":
                    raise
                other = self.lock()
                if other is not None:
                    return (
                        None if other.run == lock.run else other
                    )  # ours: the answer to a first try was lost
            else:
                return None
        return Lock()

    def take_over(self, lock: Lock) -> Lock | None:
        """Take the lock whoever has it. Of two who do so at once, the one who is written over is told."""
        if self.take(lock) is None:
            return None
        self._put(self.paths.lock, lock.text(), "Who changes the stack at present", new=False)
        now = self.lock()
        return None if now is None or now.run == lock.run else now

    def release(self, run: str) -> Lock | None:
        """Give the lock back; return who has taken it over, if somebody has."""
        now = self.lock()
        if now is not None and now.run != run:
            return now
        if now is not None:
            self.store.delete([self.paths.lock])
        return None

    def _put(self, name: str, text: str, description: str, new: bool) -> None:
        tags = {NAME_TAG: self.paths.stack}
        self.store.put_text(name, text, description=description, tags=tags, new=new)


def code_of(error: ParameterError) -> str:
    """Return AWS's code of an error, empty where AWS has not answered."""
    answer = getattr(error.exception, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


def operation_of(error: ParameterError) -> str:
    """Return the call that has failed."""
    return str(getattr(error.exception, "operation_name", "") or "")


def regions_with(
    paths: Paths, regions: Collection[str], make_client: Callable[[str], Any]
) -> tuple[list[str], list[str]]:
    """Return the regions that have parameters of the stack, and those that did not tell in time."""
    clients = {region: make_client(region) for region in sorted(regions)}
    pool = ThreadPoolExecutor(AT_ONCE)
    questions = {
        region: pool.submit(_has_parameters, client, paths.root) for region, client in clients.items()
    }
    wait(questions.values(), timeout=SEARCH_SECONDS)
    pool.shutdown(wait=False, cancel_futures=True)
    told = {region: one for region, one in questions.items() if one.done() and not one.cancelled()}
    answers = {region: one.result() for region, one in told.items() if one.exception() is None}
    return [region for region, has in answers.items() if has], sorted(set(regions) - set(answers))


def _has_parameters(client: Any, path: str) -> bool:
    page: dict[str, str] = {}
    while True:
        answer = client.get_parameters_by_path(Path=path, Recursive=True, MaxResults=10, **page)
        if answer["Parameters"] or not answer.get("NextToken"):
            return bool(answer["Parameters"])
        page = {"NextToken": answer["NextToken"]}

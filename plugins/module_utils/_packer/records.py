# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records that C(packer -machine-readable) prints, one a line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Record:
    """One line of machine-readable output.

    ``lines`` has the arguments with the commas put back only, ``data`` also with ``\\n`` turned into line
    ends. Packer does not escape backslashes, so of a JSON text only ``lines`` is still what was printed.
    """

    target: str
    kind: str
    lines: tuple[str, ...]

    @cached_property
    def data(self) -> tuple[str, ...]:
        """The arguments with commas and line ends put back."""
        return tuple(line.replace("\\r", "\r").replace("\\n", "\n") for line in self.lines)


def parse_record(line: str) -> Record | None:
    """One line as a record; None for a line that is none (a plugin's own noise)."""
    fields = line.rstrip("\r\n").split(",")
    if len(fields) < 3 or not fields[0].isdigit():
        return None
    return Record(fields[1], fields[2], tuple(map(with_commas, fields[3:])))


def with_commas(text: str) -> str:
    """The text with its commas put back: they separate the fields of a record."""
    return text.replace("%!(PACKER_COMMA)", ",")

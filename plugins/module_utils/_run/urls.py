# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs that may carry a password or a token."""

from __future__ import annotations

import re

# "user:password@" after the scheme, and the token in conda's ".../t/TOKEN/...".
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@|(?<=/t/)[^/\s]+")


def mask(text: str) -> str:
    """Hide passwords and tokens in all URLs of a text."""
    return _CREDENTIALS.sub(lambda match: "***@" if match[0].endswith("@") else "***", text)

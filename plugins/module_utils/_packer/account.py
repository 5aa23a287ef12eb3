# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account in which an image is baked, region by region."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ansible_collections.amazon.aws.plugins.module_utils.botocore import is_boto3_error_code
from ansible_collections.amazon.aws.plugins.module_utils.ec2 import describe_regions


@dataclass(frozen=True)
class Account:
    """Clients of EC2.

    client: that of the bake's region.
    client_in: makes that of another region.
    """

    client: Any
    region: str
    client_in: Callable[[str], Any]

    def others(self, names: set[str]) -> dict[str, Any]:
        """Of regions by name those of the account other than the bake's, each with a client."""
        if not names - {self.region}:
            return {}
        try:
            names = names & {region["RegionName"] for region in describe_regions(self.client)}
        except is_boto3_error_code("UnauthorizedOperation"):
            pass  # what looks like a region's name is taken for one
        return {name: self.client_in(name) for name in sorted(names - {self.region})}

# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Spark cluster of a configuration, whole, for playbooks: module_utils/_stack/spark.py."""

from __future__ import annotations

DOCUMENTATION = r"""
name: spark_cluster
short_description: Complete what a configuration says of a Spark cluster
version_added: 0.1.0
author:
  - The iac.ds_stack developers (!UNKNOWN)
description:
  - Adds the defaults to what is given, and the version of Spark that the cluster's release has.
positional: _input
options:
  _input:
    description: The variable C(ds_stack_cluster).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say which Spark it is
  ansible.builtin.debug:
    msg: "{{ ({'workers': {'max': 8}} | iac.ds_stack.spark_cluster).spark }}"
"""

RETURN = r"""
_value:
  description:
    - The cluster with all its keys. C(subnet_id) and C(image_id) are null where they are not given, and
      C(spark) is the version of Spark.
  type: dict
"""

from typing import Any

from ansible_collections.iac.ds_stack.plugins.module_utils._stack.spark import whole


class FilterModule:
    """Called by Ansible."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"spark_cluster": whole}

"""The offline mirror: what the roles download, made of what can be reached without the vendors' servers.

A true conda channel and an installer with Miniforge's flags, built from PyPI wheels, npm and Debian
packages. It is laid out so that it works behind a web server as well as by ``file://`` addresses.
"""

from collections.abc import Callable
from pathlib import Path

from localcloud.mirror import parts
from localcloud.mirror.table import PARTS
from localcloud.mirror.variables import role_variables

__all__ = ["ensure", "role_variables"]


def ensure(cache: Path, log: Callable[[str], None]) -> Path:
    """Return the folder of the finished mirror, built when there is none for today's inputs.

    ``cache``: the local cloud's folder in the cache; everything goes into its folder ``mirror``.
    ``log`` is called with lines of progress. Raises LocalCloudError.
    """
    return parts.ensure(PARTS, cache / "mirror", log)

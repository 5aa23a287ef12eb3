"""What the roles have to be told so that they download from the mirror."""

from collections.abc import Mapping
from typing import Any


def role_variables(manifest: Mapping[str, Any], base_url: str) -> dict[str, object]:
    """The roles' variables. ``base_url``: where the mirror is served, e.g. ``file:///srv/mirror``."""
    base = base_url.rstrip("/")
    folder, _, channel = manifest["conda_channel"].rpartition("/")
    miniforge = manifest["miniforge"]
    rstudio = manifest["rstudio_server"]
    return {
        "conda_installer_url": f"{base}/{miniforge['path']}",
        "conda_installer_checksum": f"sha256:{miniforge['sha256']}",
        "conda_channel_alias": f"{base}/{folder}",
        "conda_channels": [channel],
        "conda_solver": "classic",  # conda 24.7 without libmamba, which is not on PyPI
        "r_cran_url": f"{base}/{manifest['cran']['path']}",
        "r_system_packages": [
            "libzmq5",
            "libjs-jquery",
        ],  # of which Debian's jquerylib asks dpkg for the version
        "r_left_out_packages": ["pysparklyr", "renv", "sparklyr"],  # Debian 12 has none of them
        "rstudio_server_url": f"{base}/{rstudio['path']}",
        "rstudio_server_checksum": f"sha256:{rstudio['sha256']}",
        "rstudio_server_version": rstudio["version"],
    }

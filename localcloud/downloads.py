"""Where the machines download from: the vendors' own servers, or the offline mirror in their place."""

import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from localcloud.errors import LocalCloudError

#: The environment variable with what is wanted, one of WANTED.
VARIABLE = "MIRROR"
WANTED = ("auto", "vendor", "offline")

#: What the roles need of the network on one of our machines, beside Debian's packages.
VENDORS = {
    "Miniforge": "https://github.com",
    "conda-forge": "https://conda.anaconda.org",
    "CRAN": "https://packagemanager.posit.co",
    "RStudio Server": "https://download2.rstudio.org",
}


@dataclass(frozen=True)
class Downloads:
    """What was chosen, and why, as the end of a sentence."""

    offline: bool
    reason: str


def answers(url: str) -> bool:
    """Whether a server answers, be it with an error: its certificate shows that it is the vendor's."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=5).close()  # noqa: S310
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def choose(wanted: str, reached: Callable[[str], bool] = answers) -> Downloads:
    """Choose for ``auto``, or take what is wanted at its word. Raises LocalCloudError for another word."""
    if wanted not in WANTED:
        raise LocalCloudError(f"{VARIABLE} is '{wanted}': it must be one of {', '.join(WANTED)}.")
    if wanted != "auto":
        return Downloads(wanted == "offline", "as you asked")
    with ThreadPoolExecutor(len(VENDORS)) as pool:
        found = dict(zip(VENDORS, pool.map(reached, VENDORS.values()), strict=True))
    silent = [vendor for vendor, there in found.items() if not there]
    if silent:
        return Downloads(True, f"since there is no answer from {', '.join(silent)}")
    return Downloads(False, "since all of them answer")

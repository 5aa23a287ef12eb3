"""The modules of the hub and of the users' servers without Jupyter, whose classes they extend."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROLES = Path(__file__).resolve().parents[3] / "roles"


class Anything:
    """A class to extend, or a trait of one."""

    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        pass

    def tag(self, **_options: Any) -> Anything:
        """Return the trait, as traitlets does."""
        return self


class PAMError(Exception):
    """What PAM says no with."""


class HTTPError(Exception):
    """An answer that is an error, as tornado has it."""


JUPYTER: dict[str, dict[str, Any]] = {
    "jupyterhub.auth": {"PAMAuthenticator": Anything},
    "alembic.script": {"ScriptDirectory": Anything},
    "pamela": {"PAMError": PAMError},
    "tornado.web": {"HTTPError": HTTPError},
    "jupyter_client.kernelspec": dict.fromkeys(("KernelSpec", "KernelSpecManager", "NoSuchKernel"), Anything),
    "jupyter_client.manager": {"AsyncKernelManager": Anything},
    "traitlets": {"List": Anything, "Unicode": Anything, "default": lambda _name: lambda method: method},
}


@pytest.fixture(autouse=True)
def servers_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the modules be imported as they are on the machine."""
    for name, values in JUPYTER.items():
        parts = name.split(".")
        for number in range(1, len(parts) + 1):
            path = ".".join(parts[:number])
            monkeypatch.setitem(sys.modules, path, sys.modules.get(path) or ModuleType(path))
        for key, value in values.items():
            monkeypatch.setattr(sys.modules[name], key, value, raising=False)
    monkeypatch.syspath_prepend(str(ROLES / "jupyterhub/files"))
    for name in [name for name in sys.modules if name.split(".")[0] in ("ds_stack_server", "ds_stack_hub")]:
        monkeypatch.delitem(sys.modules, name)

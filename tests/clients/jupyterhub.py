"""The product's client of JupyterHub as a program.

The password comes from the environment, so that no process list shows it::

    JUPYTERHUB_PASSWORD=... python -m tests.clients.jupyterhub https://127.0.0.1:8000 alice \
        --ca-file cert.pem --code 'print(6 * 7)'

It prints one JSON object and ends with 0 (the cell ran), 1 (sign-in refused), 2 (the cell failed) or
3 (the hub did not behave; the object's ``error`` says how).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ds_stack_self_test.hub import Answer, Cell, Hub, HubError, SignInRefusedError

__all__ = ["Answer", "Cell", "Hub", "HubError", "SignInRefusedError"]


def main(arguments: list[str] | None = None) -> int:
    """Sign in, start the server, run a cell; see the module's text for the exit codes."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients.jupyterhub", description=main.__doc__)
    parser.add_argument("url", help="the hub's address, for example http://127.0.0.1:8000")
    parser.add_argument("user", help="the password is read from the environment: JUPYTERHUB_PASSWORD")
    parser.add_argument("--code", default="print(6 * 7)", help="the cell (default: %(default)s)")
    parser.add_argument("--kernel", default="python3", help="the kernel's name (default: %(default)s)")
    parser.add_argument("--ca-file", type=Path, help="the certificate to trust for https")
    parser.add_argument(
        "--any-hostname", action="store_true", help="the certificate need not name the address"
    )
    parser.add_argument("--wait", type=float, default=60, help="seconds to wait for the hub (default: 60)")
    parser.add_argument("--keep-server", action="store_true", help="leave the user's server running")
    options = parser.parse_args(arguments)

    result: dict[str, Any] = {"signed_in": False}
    try:
        hub = Hub(options.url, ca_file=options.ca_file, check_hostname=not options.any_hostname)
        hub.wait_until_ready(options.wait)
        hub.sign_in(options.user, os.environ.get("JUPYTERHUB_PASSWORD", ""))
        result["signed_in"] = True
        hub.start_server()
        result["kernels"] = hub.kernels()
        cell = hub.run_cell(options.code, kernel=options.kernel)
        result |= asdict(cell)
        if not options.keep_server:
            hub.stop_server()
        code = 0 if cell.status == "ok" else 2
    except SignInRefusedError as error:
        result["error"] = str(error)
        code = 1
    except HubError as error:
        result["error"] = str(error)
        code = 3
    print(json.dumps(result))
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Start a Jupyter kernel, run one cell in it and print what it printed: cell.py KERNEL CODE."""

import sys

from jupyter_client.manager import start_new_kernel

manager, client = start_new_kernel(kernel_name=sys.argv[1], startup_timeout=60)
try:

    def show(message: dict) -> None:
        """Print what the cell printed, and its errors."""
        content = message["content"]
        print(content.get("text", "") or "\n".join(content.get("traceback", [])), end="")

    reply = client.execute_interactive(sys.argv[2], output_hook=show, timeout=60)
finally:
    client.stop_channels()
    manager.shutdown_kernel(now=True)
sys.exit(0 if reply["content"]["status"] == "ok" else 1)

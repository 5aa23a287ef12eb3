"""`python3 -m localcloud.tools`: have a Terraform and a Packer for the project, see `machine.ensure`."""

import sys

from localcloud.errors import LocalCloudError
from localcloud.tools.machine import ensure


def main() -> int:
    """Return the exit code."""
    try:
        ensure(lambda message: print(message, file=sys.stderr, flush=True))
    except LocalCloudError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""``python -m localcloud.mirror``: the same as ``python -m localcloud mirror``."""

import sys

from localcloud.cli import main

if __name__ == "__main__":
    sys.exit(main(["mirror", *sys.argv[1:]]))

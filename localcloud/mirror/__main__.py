"""``python -m localcloud.mirror [--role-variables BASE_URL]``: build or find the offline mirror."""

import argparse
import json
import sys
from collections.abc import Sequence

from localcloud.errors import LocalCloudError
from localcloud.mirror import ensure, role_variables
from localcloud.paths import cache_root


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the mirror's folder, or the roles' variables as JSON (which is YAML too)."""
    parser = argparse.ArgumentParser(prog="python -m localcloud mirror", description=__doc__)
    parser.add_argument("--role-variables", metavar="BASE_URL", help="print the roles' variables instead")
    options = parser.parse_args(arguments)
    try:
        mirror = ensure(cache_root() / "localcloud", lambda line: print(line, file=sys.stderr, flush=True))
    except LocalCloudError as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return 1
    if options.role_variables is None:
        print(mirror)
    else:
        manifest = json.loads((mirror / "manifest.json").read_text(encoding="utf-8"))
        print(json.dumps(role_variables(manifest, options.role_variables), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Makes a user's own folder of packages, so that what is installed into it can be imported without a restart.

Written by Ansible (role iac.ds_stack.jupyterhub); changes are overwritten. Python looks for the folder when
it starts, and each minor version of it has another.
"""

import os
import site
import sys
from pathlib import Path

if site.ENABLE_USER_SITE and os.geteuid() != 0:
    _mine = site.getusersitepackages()
    if _mine not in sys.path:
        try:
            Path(_mine).mkdir(parents=True, exist_ok=True)
        except OSError:
            pass  # no home, a full disk or a file in the way: then as if this were not here
        else:
            _shared = [one for one in sys.path if one.endswith("site-packages")]
            sys.path.insert(sys.path.index(_shared[0]) if _shared else len(sys.path), _mine)

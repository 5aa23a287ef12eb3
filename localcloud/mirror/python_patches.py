"""Undo what Debian changes in CPython: pure functions on the content of its files.

Debian installs into ``dist-packages``; a conda environment, its noarch packages and pip in it expect
upstream's ``site-packages``. Each function raises ValueError when the content is not what it knows, so that
a new Debian release is noticed here and not on a machine.
"""

import re

from localcloud.mirror.target import PLACEHOLDER, PYTHON


def site(text: str) -> str:
    """``site.py``: only ``lib/pythonX.Y/site-packages`` again."""
    text = _once(
        r"            if is_virtual_environment:\n.*?            # this one is deprecated for Debian\n",
        "",
        text,
    )
    return _once(
        r'(for libdir in libdirs:\n(?:.*\n){2} +)"dist-packages"',
        r'\1"site-packages"',
        text,
    )


def frozen_site(binary: bytes) -> bytes:
    """The interpreter, or its library: the same for the copy of ``site.py`` that is compiled into it.

    That copy is the one that runs, and Debian's adds three folders: ``local/lib/pythonX.Y/dist-packages``,
    ``lib/python3/dist-packages`` and ``lib/pythonX.Y/dist-packages``. Two of its strings become others of
    the same length, so that the first and the last folder are ``lib/pythonX.Y/site-packages``; the one
    between them does not exist in an environment.
    """
    for old, new in ((b"\0dist-packages\0", b"\0site-packages\0"), (b"\0local/lib\0", b"\0./././lib\0")):
        if binary.count(old) != 1:
            raise ValueError(f"expected once, found {binary.count(old)} times: {old!r}")
        binary = binary.replace(old, new)
    return binary


def sysconfig(text: str) -> str:
    """``sysconfig.py``: the scheme ``posix_prefix`` again, whether in a virtual environment or not."""
    return _once(r"prefix_scheme = 'posix_local'", "prefix_scheme = 'posix_prefix'", text)


def sysconfigdata(text: str) -> str:
    """``_sysconfigdata_….py``: the paths of an environment instead of /usr."""
    if "'prefix': '/usr'" not in text:
        raise ValueError("this is not the build configuration of Debian's Python")
    places = (
        ("/usr/share/python-wheels", "/share/python-wheels"),
        ("/usr/lib/x86_64-linux-gnu", "/lib"),
        (f"/usr/lib/python{PYTHON}", f"/lib/python{PYTHON}"),
        ("/usr/include", "/include"),
        ("/usr/lib", "/lib"),
        ("/usr/bin", "/bin"),
        ("/usr", ""),
    )
    for old, new in places:
        # Whole words: /usr/bin/install and the like are programs of the machine.
        text = re.sub(
            rf"(?<=[' ]){re.escape(old)}(?=/?[' ]|/python|/lib-dynload|/pkgconfig|/config-)",
            PLACEHOLDER + new,
            text,
        )
    return text


def _once(pattern: str, replacement: str, text: str) -> str:
    changed, count = re.subn(pattern, replacement, text, flags=re.DOTALL if ".*?" in pattern else 0)
    if count != 1:
        raise ValueError(f"expected once, found {count} times: {pattern}")
    return changed

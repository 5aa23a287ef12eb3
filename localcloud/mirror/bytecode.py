"""Compile a tree's Python files, so that environments that users cannot write to start fast."""

from pathlib import Path

from localcloud.mirror.target import PLACEHOLDER
from localcloud.processes import run


def compile_tree(python: Path, root: Path) -> None:
    """Compile the modules below ``root`` with the target's own interpreter.

    Unchecked by hash and with fixed hashing, because the bytes must not depend on when and where.
    Left alone: tests, and files into which conda writes the environment's folder.
    """
    relocated = [file for file in root.rglob("*.py") if not file.is_symlink() and _has_placeholder(file)]
    names = "|".join([r"/tests?/", r"/lib2to3/", *(str(file) for file in relocated)])
    options = ("-f", "-q", "-q", "--invalidation-mode=unchecked-hash", f"-x={names}", f"-s={root}")
    # -B: what the compiler itself imports from there must not get bytecode of another kind first.
    run(str(python), "-I", "-B", "-m", "compileall", *options, str(root), env={"PYTHONHASHSEED": "0"})


def _has_placeholder(file: Path) -> bool:
    return PLACEHOLDER.encode() in file.read_bytes()

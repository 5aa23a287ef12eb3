#!/usr/bin/env python3
"""Find private names of ansible-core and of other collections in the collection's own code.

usage: python -m tests.public_names [FILE...]      default: all of plugins/, and what roles and molecule run

What is private changes without notice: that has broken this collection under a newer ansible-core. Whatever
begins with an underscore is private, but for __dunders__; NAMED says which are used all the same. Python does
not tell of what type a thing is, so a private attribute of anything counts, unless the file defines it, or it
belongs to a module that is neither Ansible's nor another collection's.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN = "ansible_collections.iac.ds_stack"

NAMED = {
    # What ActionBase gives every action plugin.
    "self": {"_connection", "_execute_module", "_loader", "_task", "_templar"},
    # Ansible's developer guide tells modules to ask it whether diff mode is on; there is no public name.
    "module": {"_diff"},
}
"""Of the variable of a name, its private attributes that may be used."""

BY_NAME = {"getattr", "hasattr", "setattr", "delattr", "attrgetter", "methodcaller", "__getattribute__"}
"""What reaches an attribute whose name is a string."""


def is_private(name: str) -> bool:
    """Whether a name, or a part of one with dots, is private."""
    return any(re.match(r"_(?!_\w+__$)", part) for part in name.split("."))


def is_foreign(module: str) -> bool:
    """Whether a module is part of ansible-core or of another collection."""
    return f"{module}.".startswith(("ansible.", "ansible_collections.")) and not module.startswith(OWN)


def begin_of(node: ast.expr) -> str:
    """A string, or as much of its beginning as is written there."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr) and node.values:
        return begin_of(node.values[0])
    return begin_of(node.left) if isinstance(node, ast.BinOp) else ""


def root_of(node: ast.expr) -> str:
    """The variable that a chain of attributes begins with; empty if it begins with something else."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


class Finder(ast.NodeVisitor):
    """Collects the findings of one file: line and what is wrong there."""

    def __init__(self, tree: ast.Module) -> None:
        self.findings: list[tuple[int, str]] = []
        self.modules: dict[str, bool] = {}
        """Of each name that an import binds, whether that is foreign."""
        self.defined = set(_definitions(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.modules[alias.asname or alias.name.partition(".")[0]] = is_foreign(alias.name)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    self.modules[alias.asname or alias.name] = is_foreign(whole)
        self.visit(tree)

    def say(self, node: ast.AST, name: str) -> None:
        """Note a finding."""
        self.findings.append((getattr(node, "lineno", 0), name))

    def visit_Import(self, node: ast.Import) -> None:
        """import ansible._internal"""
        for alias in node.names:
            if is_foreign(alias.name) and is_private(alias.name):
                self.say(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """from ansible.x import _y, from ansible._x import y"""
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            if is_foreign(whole) and is_private(whole):
                self.say(node, whole)

    def visit_Constant(self, node: ast.Constant) -> None:
        """import_module("ansible._x"), and other places where a name is written as a string"""
        name = node.value
        if isinstance(name, str) and is_foreign(name) and re.fullmatch(r"[\w.]+", name) and is_private(name):
            self.say(node, name)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """thing._x"""
        self.reach(node, node.value, node.attr)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """getattr(thing, "_x")"""
        function = node.func.attr if isinstance(node.func, ast.Attribute) else root_of(node.func)
        if function in BY_NAME:
            for argument in node.args:
                if name := begin_of(argument):
                    self.reach(node, node.args[0], name)
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """vars(thing)["_x"], thing.__dict__["_x"]"""
        owner = node.value
        if isinstance(owner, ast.Call) and root_of(owner.func) == "vars" and owner.args:
            self.reach(node, owner.args[0], begin_of(node.slice))
        elif isinstance(owner, ast.Attribute) and owner.attr == "__dict__":
            self.reach(node, owner.value, begin_of(node.slice))
        self.generic_visit(node)

    def reach(self, node: ast.AST, owner: ast.expr, name: str) -> None:
        """Judge the use of an attribute."""
        if not is_private(name):
            return
        root = root_of(owner)
        foreign = self.modules.get(root)
        named = isinstance(owner, ast.Name) and name in NAMED.get(root, ())
        if foreign or (foreign is None and not named and name not in self.defined):
            self.say(node, name)


def _definitions(tree: ast.Module) -> Iterator[str]:
    """The private names that a file itself gives to attributes and methods."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield part.name
                elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    yield part.target.id
                elif isinstance(part, ast.Assign):
                    yield from (target.id for target in part.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and root_of(node) == "self":
            yield node.attr


def findings(text: str) -> list[tuple[int, str]]:
    """What is private of others in a file's text: line and name."""
    return sorted(set(Finder(ast.parse(text)).findings))


def files() -> Iterator[Path]:
    """The collection's own code."""
    for pattern in ("plugins/**/*.py", "roles/*/files/**/*.py", "molecule/**/*.py"):
        yield from sorted(ROOT.glob(pattern))


def main(arguments: list[str]) -> int:
    """Print what is found; return 1 when anything is."""
    found = 0
    for path in map(Path, arguments) if arguments else files():
        for line, name in findings(path.read_text(encoding="utf-8")):
            found += 1
            print(f"{path}:{line}: {name} is a private name of other people's software")
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

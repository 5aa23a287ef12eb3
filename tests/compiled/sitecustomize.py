"""Have Python compile each module that Ansible sends only once in a run of the tests.

Ansible sends a module as an archive with all the sources that it imports, and each task compiles them anew: a
fifth of a second of a processor, thousands of times. With this folder on PYTHONPATH, Python imports this file
at its start, and what it compiles from an archive is kept, by the source's content, in the folder that
DS_STACK_TEST_COMPILED names. Only tests/run.py names one.
"""

import marshal
import os
import sys
import zipimport

FOLDER = os.environ.get("DS_STACK_TEST_COMPILED", "")


class KeepingImporter(zipimport.zipimporter):
    """Imports from an archive, and keeps what it compiles."""

    def get_filename(self, fullname):  # type: ignore[no-untyped-def] # typing would take longer to import
        """Return where the source of a module is. The one that is inherited compiles it to find that out."""
        place = os.path.join(self.archive, self.prefix, fullname.rpartition(".")[2])
        return os.path.join(place, "__init__.py") if self.is_package(fullname) else f"{place}.py"

    def get_code(self, fullname):  # type: ignore[no-untyped-def]
        """Return the code of a module, which an earlier process may have compiled."""
        from importlib.util import source_hash

        source = (self.get_source(fullname) or "").encode()
        path = self.get_filename(fullname)
        kept = os.path.join(FOLDER, source_hash(source).hex())  # of the Python's version, too
        try:
            with open(kept, "rb") as file:
                return named(marshal.load(file), path)  # noqa: S302 - written below
        except (OSError, EOFError, ValueError, TypeError, AttributeError):
            code = compile(source, path, "exec", dont_inherit=True)
        own = f"{kept}.{os.getpid()}"
        with open(own, "wb") as file:
            marshal.dump(code, file)
        os.replace(own, kept)
        return code


def named(code, path):  # type: ignore[no-untyped-def]
    """Return code as if compiled from the file at path, which tracebacks and coverage name."""
    inner = (named(item, path) if isinstance(item, type(code)) else item for item in code.co_consts)
    return code.replace(co_filename=path, co_consts=tuple(inner))


if os.path.isdir(FOLDER):
    sys.path_hooks[:] = [
        KeepingImporter if hook is zipimport.zipimporter else hook for hook in sys.path_hooks
    ]

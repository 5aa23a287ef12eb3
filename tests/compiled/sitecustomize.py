"""Have Python compile each module that Ansible sends only once in a run of the tests.

Ansible sends a module as an archive with all the sources that it imports, and each task compiles them anew: a
fifth of a second of a processor, thousands of times. With this folder on PYTHONPATH, Python imports this file
at its start, and what it compiles from an archive is kept, by the source's content, in the folder that
DS_STACK_TEST_COMPILED names. Only tests/run.py names one.
"""

import _imp
import marshal
import os
import zipimport

FOLDER = os.environ.get("DS_STACK_TEST_COMPILED", "")
compile_source = zipimport._compile_source  # type: ignore[attr-defined]


def kept_or_compiled(path, source):  # type: ignore[no-untyped-def] # typing would take longer to import
    """Return the code of a source in an archive, which an earlier process may have compiled."""
    from importlib.util import source_hash

    kept = os.path.join(FOLDER, source_hash(source).hex())  # of the Python's version, too
    try:
        with open(kept, "rb") as file:
            code = marshal.load(file)  # noqa: S302 - written below
    except (OSError, EOFError, ValueError, TypeError):
        code = compile_source(path, source)
        own = f"{kept}.{os.getpid()}"
        with open(own, "wb") as file:
            marshal.dump(code, file)
        os.replace(own, kept)
    else:
        _imp._fix_co_filename(code, path)  # type: ignore[attr-defined] # as for .pyc: for tracebacks
    return code


if os.path.isdir(FOLDER):
    zipimport._compile_source = kept_or_compiled  # type: ignore[attr-defined]

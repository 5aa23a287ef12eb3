# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""R packages: what is wanted, what a library holds, and R as a process.

R's install.packages only warns when a package was not installed or cannot be loaded, so nothing here
believes its exit code: a second R process tries to load every package.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._run.urls import mask

_WANTED = re.compile(
    r"^\s*([A-Za-z][A-Za-z0-9.]*[A-Za-z0-9])\s*(?:\(?\s*>=\s*([0-9]+(?:[.-][0-9]+)*)\s*\)?)?\s*$"
)

# What tells in the output of an installation: R's own verdicts, the compiler's, and the linker's.
_TELLING = re.compile(
    r"^ERROR|^Error|^Warning in install|non-zero exit status|is not available|cannot open shared object file|"
    r"error:|fatal:|: not found|command not found|Configuration failed|\* deb:|cannot open URL|"
    r"unable to access|there is no package called|download of package|had status|Killed|No space left",
)
_MOST_LINES = 25

FILE_NOTE = "ds_stack_file_sha256"
"""In the folder of an installed package."""

_LISTS = ("lacking", "trouble")
_SCALARS = {"r": "r_version", "library": "library", "repository": "repository"}

# One program for all that is asked of R. It answers in a file, since packages print what they like.
# Every line of the answer is a kind and strings, quoted by R's encodeString, between tabs.
_PROGRAM = r"""
arguments <- commandArgs(trailingOnly = TRUE)
parameters <- readLines(arguments[[1]], encoding = "UTF-8")
answer <- file(arguments[[2]], open = "wt", encoding = "UTF-8")
value <- function(key) {
  start <- paste0(key, "=")
  substring(parameters[startsWith(parameters, start)], nchar(start) + 1)
}
tell <- function(kind, ...) {
  writeLines(paste(c(kind, encodeString(c(...), quote = "\"")), collapse = "\t"), answer)
  flush(answer)
}
agent <- paste(getRversion(), R.version[["platform"]], R.version[["arch"]], R.version[["os"]])
options(
  HTTPUserAgent = sprintf("R/%s R (%s)", getRversion(), agent),
  timeout = max(600, getOption("timeout")),
  Ncpus = if (nzchar(Sys.which("make"))) parallel::detectCores() else 1L # more than one takes make
)
if (length(value("repository"))) options(repos = c(CRAN = value("repository")))
names <- value("name")
library <- value("library")
if (length(library)) {
  if (value("action") == "install") dir.create(library, recursive = TRUE, showWarnings = FALSE)
  .libPaths(c(library, .libPaths()))
} else {
  library <- .libPaths()[[1]]
}
tell("r", as.character(getRversion()))
tell("library", library)
repository <- unname(getOption("repos"))
repository <- repository[!is.na(repository) & repository != "@CRAN@"]
if (length(repository)) tell("repository", repository[[1]])

look <- function() {
  found <- installed.packages(lib.loc = .libPaths())
  found <- found[!duplicated(rownames(found)), , drop = FALSE]
  for (row in seq_len(nrow(found))) tell("installed", found[row, c("Package", "Version", "LibPath")])
  for (name in intersect(names, rownames(found))) {
    tell("loading", name)
    failure <- tryCatch({
      suppressWarnings(suppressMessages(
        base::library(name, character.only = TRUE, warn.conflicts = FALSE, quietly = TRUE)
      ))
      NULL
    }, error = conditionMessage)
    if (is.null(failure)) tell("loads", name) else tell("fails", name, failure)
  }
}

offer <- function() {
  index <- tryCatch(
    withCallingHandlers(available.packages(), warning = function(condition) {
      tell("trouble", conditionMessage(condition))
      invokeRestart("muffleWarning")
    }),
    error = function(condition) {
      tell("trouble", conditionMessage(condition))
      NULL
    }
  )
  if (is.null(index)) return(invisible())
  tell("offers", as.character(nrow(index)))
  needed <- setdiff(needs(index), rownames(installed.packages(lib.loc = .libPaths())))
  for (name in intersect(union(names, needed), rownames(index))) {
    tell("available", name, index[name, "Version"])
  }
  for (name in setdiff(union(names, needed), rownames(index))) tell("lacking", name)
}

needs <- function(index) {
  kinds <- c("Depends", "Imports", "LinkingTo")
  unlist(tools::package_dependencies(names, db = index, which = kinds, recursive = TRUE))
}

is_built <- function(file) any(grepl("/Meta/package.rds$", untar(file, list = TRUE)))

# All that may be wanted comes into one folder, so that what is installed is what was looked at.
fetch <- function() {
  index <- available.packages()
  present <- installed.packages(lib.loc = .libPaths())
  present <- present[!duplicated(rownames(present)), "Version"]
  needed <- intersect(needs(index), rownames(index))
  old <- intersect(needed, base::names(present))
  current <- old[package_version(present[old]) >= package_version(index[old, "Version"])]
  files <- download.packages(union(names, setdiff(needed, current)), value("folder"), index)
  for (row in seq_len(nrow(files))) {
    name <- files[row, 1]
    path <- file.path(value("folder"), basename(files[row, 2]))
    if (!file.exists(path)) file.copy(files[row, 2], path) # of a repository on this machine
    tell("file", name, index[name, "Version"], path)
  }
}

# Packages that are built already are only unpacked, in any order: one R for all of them takes a quarter of
# the time of one R each. It is left to install.packages to build sources, and to renew what others need.
install <- function() {
  folder <- value("folder")
  files <- list.files(folder, full.names = TRUE)
  others <- setdiff(sub("_.*", "", basename(files)), names)
  renews <- any(others %in% rownames(installed.packages(lib.loc = .libPaths())))
  if (length(files) && !renews && all(vapply(files, is_built, NA))) {
    options <- c("CMD", "INSTALL", shQuote(paste0("--library=", library)))
    system2(file.path(R.home("bin"), "R"), c(options, shQuote(files)))
  } else {
    tools::write_PACKAGES(folder, type = "source")
    install.packages(names, lib = library, contriburl = paste0("file://", folder), type = "source")
  }
}

switch(value("action"), look = look(), offer = offer(), fetch = fetch(), install = install())
tell("end")
close(answer)
"""


class RError(Exception):
    """R, or the request made of it, is at fault. ``details`` is for the module's result."""

    def __init__(self, message: str, details: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.details = dict(details or {})


@dataclass(frozen=True)
class Wanted:
    """A package that is asked for, with the least version that will do."""

    name: str
    minimum: str | None = None

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """Read ``name``, ``name>=1.2`` or ``name (>= 1.2)``.

        :raises RError: the text is none of these.
        """
        match = _WANTED.match(text)
        if not match:
            raise RError(
                f"'{text}' names no R package: write a name such as 'dplyr', or one with a least version "
                "such as 'dplyr>=1.1'."
            )
        return cls(match[1], match[2])

    def is_met_by(self, version: str | None) -> bool:
        """Whether that version is good enough; None is no version at all."""
        if version is None:
            return False
        return self.minimum is None or version_key(version) >= version_key(self.minimum)

    def __str__(self) -> str:
        return f"{self.name} (>= {self.minimum})" if self.minimum else self.name


@dataclass(frozen=True)
class Installed:
    """A package in a library."""

    name: str
    version: str
    library: str

    @property
    def label(self) -> str:
        """The package for people."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Fetched:
    """A package's file as it came from the repository. sha256: in hexadecimal."""

    name: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Locked:
    """What a package has to be. sha256: of the repository's file, in hexadecimal."""

    version: str
    sha256: str

    @classmethod
    def parse(cls, locked: Mapping[str, Any]) -> dict[str, Locked]:
        """Read it from the option of the module. Raises RError."""
        try:
            return {name: cls(str(one["version"]), str(one["sha256"])) for name, one in locked.items()}
        except (KeyError, TypeError):
            raise RError("locked: each package has to have its version and its sha256.") from None


@dataclass
class Answer:
    """What R answered to one question."""

    r_version: str = ""
    library: str = ""
    repository: str | None = None
    installed: dict[str, Installed] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    offered: int = 0
    available: dict[str, str] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    files: list[tuple[str, str, Path]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    complete: bool = False


def version_key(version: str) -> tuple[int, ...]:
    """R's order of versions: numbers between dots and dashes."""
    return tuple(int(part) for part in re.split(r"[.-]", version))


def parse_wanted(texts: Iterable[str]) -> list[Wanted]:
    """Parse a list of packages; a name asked for twice is an error."""
    wanted: dict[str, Wanted] = {}
    for text in texts:
        one = Wanted.parse(text)
        if one.name in wanted:
            raise RError(f"{one.name} is in the list twice.")
        wanted[one.name] = one
    return list(wanted.values())


def parse_answer(text: str) -> Answer:
    """Read the lines that :data:`_PROGRAM` wrote, also those of an R that died half-way."""
    answer = Answer()
    loading = None
    # Not splitlines: what R says may hold what only Unicode takes for the end of a line.
    for line in text.split("\n"):
        kind, *quoted = line.split("\t")
        try:
            values = [ast.literal_eval(value) for value in quoted]
        except (SyntaxError, ValueError):
            continue  # the last line of an R that was killed
        if kind in _SCALARS:
            setattr(answer, _SCALARS[kind], values[0])
        elif kind == "installed":
            answer.installed[values[0]] = Installed(*values)
        elif kind == "loading":
            loading = values[0]
        elif kind in ("loads", "fails"):
            loading = None
            answer.failures.update({values[0]: mask(values[1])} if kind == "fails" else {})
        elif kind == "offers":
            answer.offered = int(values[0])
        elif kind == "available":
            answer.available[values[0]] = values[1]
        elif kind == "file":
            answer.files.append((values[0], values[1], Path(values[2])))
        elif kind in _LISTS:
            getattr(answer, kind).append(mask(values[0]))
        elif kind == "end":
            answer.complete = True
    if loading is not None:
        answer.failures[loading] = "R itself ended while it was loading the package"
    return answer


def telling_lines(output: str) -> list[str]:
    """The lines of an installation's output that say what went wrong, each once, the last ones kept."""
    lines = [line.rstrip() for line in output.splitlines()]
    return list(dict.fromkeys(mask(line) for line in lines if _TELLING.search(line)))[-_MOST_LINES:]


def unavailable(wanted: Iterable[Wanted], answer: Answer) -> list[str]:
    """What a repository cannot give of the packages that are wanted, a sentence each."""
    problems = []
    for one in wanted:
        version = answer.available.get(one.name)
        if version is None:
            problems.append(f"has no {one.name} for R {answer.r_version}")
        elif not one.is_met_by(version):
            problems.append(f"has {one.name} {version}, wanted is >= {one.minimum}")
    return problems


def moved(locked: Mapping[str, Locked], answer: Answer) -> list[str]:
    """What a repository does not have as it was locked, a part of a sentence each."""
    others = [
        f"has {name} {version}, the lock says {locked[name].version}"
        for name, version in answer.available.items()
        if name in locked and locked[name].version != version
    ]
    lacking = (name for name in dict.fromkeys(answer.lacking) if name in locked)
    return [*others, *(f"has no {name} any more, the lock says {locked[name].version}" for name in lacking)]


def changed_files(locked: Mapping[str, Locked], fetched: Iterable[Fetched]) -> list[str]:
    """The files that are not those that were locked, a part of a sentence each."""
    return [
        f"{one.file} has the SHA-256 {one.sha256}, the lock says {locked[one.name].sha256}"
        for one in fetched
        if one.name in locked and one.sha256 != locked[one.name].sha256
    ]


def note_file(library: Path, one: Fetched) -> None:
    """Keep in a package which file it was installed from. It goes with the package."""
    (library / one.name / FILE_NOTE).write_text(one.sha256 + "\n", encoding="utf-8")


def noted_file(library: Path, name: str) -> str | None:
    """The SHA-256 of the file that a package was installed from; None where nobody has noted it."""
    try:
        return (library / name / FILE_NOTE).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment that R runs in: no settings of the caller's R, no user's library or profile."""
    kept = {name: value for name, value in environ.items() if not name.startswith(("R_", "RSTUDIO", "LD_"))}
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "R_LIBS_USER": "NULL",
        "R_ENVIRON_USER": "/dev/null",
        "R_PROFILE_USER": "/dev/null",
    }


@dataclass(frozen=True)
class R:
    """One installation of R, used with one library and one repository."""

    rscript: Path
    library: str | None = None
    repository: str | None = None

    def look(self, names: Sequence[str]) -> Answer:
        """What is installed, and which of the named packages do not load."""
        answer, output = self._ask("look", names)
        if not answer.complete and not answer.failures:
            raise RError(f"R could not look into its libraries. {_tail(output)}")
        return answer

    def offer(self, names: Sequence[str]) -> Answer:
        """What the repository has of the named packages and of what they need and is missing.

        :raises RError: there is no repository, or it cannot be read.
        """
        answer, output = self._ask("offer", names)
        where = self.repository_of(answer)
        if not where:
            raise RError(
                "No repository to install R packages from: set the parameter repository, or the option repos "
                "in R's Rprofile.site."
            )
        if not answer.offered:
            # The last two are about the index itself; those before, about other forms of it.
            words = " ".join(answer.trouble[-2:]) or _tail(output) or "Its index has no package."
            raise RError(
                f"R {answer.r_version} cannot use the repository {where}. {words} Check the URL (below it "
                "there must be src/contrib/PACKAGES) and that the machine can reach it."
            )
        return answer

    def repository_of(self, answer: Answer) -> str:
        """The repository in use, without passwords; empty if there is none."""
        return mask(self.repository or answer.repository or "")

    def fetch(self, names: Sequence[str], folder: Path) -> tuple[list[Fetched], str]:
        """Download the named packages and what they need; return what came, and all that R printed."""
        answer, output = self._ask("fetch", names, folder)
        return [
            Fetched(name, version, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
            for name, version, path in answer.files
        ], output

    def install(self, names: Sequence[str], folder: Path) -> str:
        """Install them from there; return all that R printed. What came of it must be looked at."""
        return self._ask("install", names, folder)[1]

    def _ask(self, action: str, names: Sequence[str], files: Path | None = None) -> tuple[Answer, str]:
        """Run :data:`_PROGRAM`. The parameters go by file: a repository's URL may hold a password."""
        lines = [f"action={action}", *(f"name={name}" for name in names)]
        if files:
            lines.append(f"folder={files}")
        if self.library:
            lines.append(f"library={self.library}")
        if self.repository:
            lines.append(f"repository={self.repository}")
        with tempfile.TemporaryDirectory(prefix="ds-stack-r-") as folder:
            program, parameters, answer = (
                Path(folder, name) for name in ("program.R", "parameters", "answer")
            )
            program.write_text(_PROGRAM, encoding="utf-8")
            parameters.write_text("\n".join(lines) + "\n", encoding="utf-8")
            answer.touch()
            try:
                done = subprocess.run(
                    [
                        str(self.rscript),
                        "--no-restore",
                        "--no-save",
                        str(program),
                        str(parameters),
                        str(answer),
                    ],
                    env=clean_environment(os.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    errors="replace",
                    check=False,
                    cwd=folder,
                )
            except OSError as error:
                raise RError(f"{self.rscript} cannot be run: {error.strerror}.") from error
            text = answer.read_text(encoding="utf-8", errors="replace")
        return parse_answer(text), mask(done.stdout)


def _tail(output: str) -> str:
    return output.strip()[-2000:]

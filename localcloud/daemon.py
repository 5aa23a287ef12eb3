"""Start, stop and ask the server. There is one account per machine, guarded by a lock."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from localcloud import account_files, base_layer, downloads, notes, preflight, provider, reaper, root_disks
from localcloud.addresses import API_URL, MIRROR_URL
from localcloud.api.owner import DEBIAN_OWNER
from localcloud.downloads import Downloads
from localcloud.errors import LocalCloudError
from localcloud.paths import REPOSITORY, RunDir, cache_root

#: Held by the server as long as it lives; names its run folder and, later, its process.
LOCK = Path("/run/lock/ds-stack-localcloud")
START_SECONDS = 60
STOP_SECONDS = 20

Log = Callable[[str], None]


class Lock:
    """The machine's one lock, and what its last holder wrote into it."""

    def __init__(self) -> None:
        """Open the lock's file; nothing is locked yet."""
        LOCK.parent.mkdir(parents=True, exist_ok=True)
        self.file: IO[str] = LOCK.open("a+")

    def take(self) -> bool:
        """Lock; False when a server (or a start under way) holds it."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def read(self) -> dict[str, Any]:
        """``{"run": folder, "pid": server}`` of the present or last holder; empty at first."""
        self.file.seek(0)
        text = self.file.read()
        return json.loads(text) if text else {}

    def write(self, run: RunDir, pid: int | None) -> None:
        """Say who we are."""
        self.file.seek(0)
        self.file.truncate()
        json.dump({"run": str(run.path), "pid": pid}, self.file)
        self.file.flush()

    def close(self) -> None:
        """Close our end; the lock stays as long as the server has the file open."""
        self.file.close()


def start(run: RunDir, wanted_downloads: str, log: Log) -> None:
    """Start an account, or find that it runs. Raises LocalCloudError.

    Args:
        run: the account's folder.
        wanted_downloads: one of ``downloads.WANTED``.
        log: called with what people should know.
    """
    preflight.check_root()
    preflight.check_tools()
    lock = Lock()
    if not lock.take():
        holder = lock.read()
        if holder.get("run") == str(run.path) and status() is not None:
            log("The local cloud already runs.")
            return
        raise LocalCloudError(
            f"Another local cloud runs on this machine (pid {holder.get('pid')}, "
            f"folder {holder.get('run')}). There can be only one: stop that one first."
        )
    try:
        _start(run, wanted_downloads, lock, log)
    finally:
        lock.close()


def _start(run: RunDir, wanted_downloads: str, lock: Lock, log: Log) -> None:
    left = _reap(run, lock)
    if left:
        log(f"Removed what a killed local cloud had left: {', '.join(left)}.")
    preflight.check_ports()
    packer, overlay = preflight.packer()
    providers = provider.find()
    chosen = downloads.choose(wanted_downloads)
    base_layer.ensure(log)
    mirror = _mirror(log) if chosen.offline else None
    lock.write(run, None)
    run.path.mkdir(parents=True)
    root_disks.check(run.path)
    told = account_files.downloads_of(mirror, MIRROR_URL) if mirror else {}
    account_files.write(run, account_files.Operator.new(), providers, DEBIAN_OWNER, told, overlay=overlay)
    run.notes.write_text(f"{notes.notes(account_files.manifest_of(mirror) if mirror else None)}\n")
    command = [sys.executable, "-m", "localcloud", "serve"]
    if mirror:
        command += ["--mirror", str(mirror)]
    with run.log.open("w") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=REPOSITORY,
            start_new_session=True, pass_fds=(lock.file.fileno(),),
        )  # fmt: skip
    lock.write(run, server.pid)
    run.pid.write_text(f"{server.pid}\n")
    try:
        _wait(server, run)
    except LocalCloudError:
        server.kill()
        server.wait()
        words = run.log.read_text().strip().splitlines()[-1:]
        reaper.reap([run.path], server.pid)
        raise LocalCloudError(f"The server does not start: {' '.join(words) or 'it says nothing'}") from None
    template = "the product's template" + (", with a source for this version over it" if overlay else "")
    log(_summary(providers, f"{packer}, {template}", chosen, mirror, run))


def _mirror(log: Log) -> Path:
    from localcloud import mirror  # noqa: PLC0415 (heavy, and not needed with the vendors' downloads)

    return mirror.ensure(cache_root() / "localcloud", log)


def _wait(server: "subprocess.Popen[bytes]", run: RunDir) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if server.poll() is not None:
            break
        if status() is not None:
            return
        time.sleep(0.1)
    raise LocalCloudError(f"no answer; see {run.log}")


def status() -> dict[str, Any] | None:
    """What the server says about itself; None when none answers."""
    try:
        with urllib.request.urlopen(f"{API_URL}/_localcloud/status", timeout=5) as answer:  # noqa: S310
            return json.load(answer)
    except (OSError, urllib.error.URLError):
        return None


def run_policies() -> list[str]:
    """Have the lifecycle policies do what they do once a day; the snapshots made. Raises LocalCloudError."""
    order = urllib.request.Request(f"{API_URL}/_localcloud/policies", method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(order, timeout=60) as answer:  # noqa: S310
            return [str(one) for one in json.load(answer)]
    except OSError as error:
        raise LocalCloudError(f"The local cloud does not answer: {error}.") from error


def stop(run: RunDir, log: Log) -> None:
    """Stop the account and remove all that is left of it or of a killed one. Raises LocalCloudError."""
    preflight.check_root()
    preflight.check_tools()  # before the server ends: without them nothing could be removed
    lock = Lock()
    try:
        if not lock.take():
            holder = lock.read()
            if holder.get("run") != str(run.path):
                raise LocalCloudError(
                    f"The local cloud that runs here is another's (pid {holder.get('pid')}, "
                    f"folder {holder.get('run')}): stop it from there."
                )
            _end(int(holder["pid"] or 0))
            if not _take_within(lock, STOP_SECONDS):
                raise LocalCloudError(f"The server (pid {holder['pid']}) does not end.")
            _reap(run, lock)
            log("The local cloud is stopped. Nothing of it is left.")
            return
        left = _reap(run, lock)
        log(
            f"No local cloud ran. Removed what was left: {', '.join(left)}."
            if left
            else "No local cloud runs."
        )
    finally:
        lock.close()


def _end(pid: int) -> None:
    if pid:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return


def _take_within(lock: Lock, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not lock.take():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def _reap(run: RunDir, lock: Lock) -> list[str]:
    last = lock.read()
    folders = {run.path, *([Path(last["run"])] if last else [])}
    return reaper.reap(sorted(folders), last.get("pid"))


def _summary(providers: Path | None, packer: str, chosen: Downloads, mirror: Path | None, run: RunDir) -> str:
    found = (
        f"{', '.join(provider.versions(providers))} in {providers}" if providers else "fetched by Terraform"
    )
    source = f"the offline mirror {mirror}, served at {MIRROR_URL}" if mirror else "the vendors' own servers"
    return f"""
The local cloud runs: a simulated AWS account, API at {API_URL}.

{run.notes.read_text()}
Provider:   {found}.
Packer:     {packer}.
Downloads:  {source}, {chosen.reason}.

Settings for programs:  {run.env}
Log:                    {run.log}
Stop, and leave nothing:  python -m localcloud stop"""

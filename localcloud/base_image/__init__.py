"""The container image that stands for Debian's AMI, and that molecule uses: Debian 12, or 13.

It is a small Debian with systemd, sshd and cloud-init, plus what makes systemd and cloud-init work in a
container (folder ``files``). It is kept as a tarball in the cache, named by a hash of all its inputs, and
as a podman image with two tags.
"""

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from localcloud import apt_settings
from localcloud.errors import LocalCloudError
from localcloud.paths import LABEL, cache_root
from localcloud.podman import image_exists, podman
from localcloud.processes import run, succeeds

REPOSITORY = "localhost/ds-stack-base"
#: Label with the time of the build, in seconds since 1970: that of the import says nothing.
BUILT_LABEL = "iac.ds_stack.built"
FILES = Path(__file__).resolve().parent / "files"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

PACKAGES = (
    "apt-utils", "bash-completion", "ca-certificates", "cloud-init", "curl", "dbus", "e2fsprogs", "iproute2",
    "iputils-ping", "less", "libpam-systemd", "locales", "nftables", "openssh-server", "procps", "python3",
    "python3-apt", "sudo", "systemd", "systemd-sysv", "tzdata", "util-linux", "vim-tiny",
)  # fmt: skip


@dataclass(frozen=True)
class Release:
    """A release of Debian. codename: also its suite among the package sources."""

    version: int
    codename: str

    @property
    def tag(self) -> str:
        """The image's tag, whatever its inputs."""
        return f"{REPOSITORY}:debian-{self.version}"


DEBIAN_12 = Release(12, "bookworm")
DEBIAN_13 = Release(13, "trixie")
RELEASES = (DEBIAN_12, DEBIAN_13)
TAG = DEBIAN_12.tag


def package_sources(release: Release) -> list[apt_settings.Source]:
    """Where this machine gets a release's packages from, the release's own source first.

    Raises LocalCloudError when that is not known.
    """
    lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    texts = [path.read_text() for path in lists if path.is_file() and path.suffix in (".list", ".sources")]
    found = apt_settings.sources(texts, release.codename)
    for other in RELEASES:
        found = found or apt_settings.of_another_release(texts, other.codename, release.codename)
    found = found or apt_settings.default_sources(release.codename, _debootstrap())
    if not found:
        raise LocalCloudError(
            f"No package source of Debian {release.codename} is known: put one into /etc/apt/sources.list.d, "
            "as debootstrap names none either."
        )
    return found


def _debootstrap() -> list[str]:
    """The program and its scripts: Debian's name the address of Debian's servers."""
    program = shutil.which("debootstrap")
    paths = [Path(program)] if program else []
    paths += sorted(Path("/usr/share/debootstrap/scripts").glob("*"))
    return [path.read_text(errors="replace") for path in paths if path.is_file()]


@dataclass(frozen=True)
class Inputs:
    """All that decides what is in the image.

    Attributes:
        sources: package sources, the release's own first.
        apt_configuration: the host's settings for reaching them.
        host_certificates: the host's CA bundle, in PEM.
        files: path below ``files/`` → content.
    """

    sources: tuple[apt_settings.Source, ...]
    apt_configuration: str
    host_certificates: str
    files: dict[str, str]

    @classmethod
    def of_this_machine(cls, release: Release) -> "Inputs":
        """Read the host's settings and our own files."""
        own = {
            str(path.relative_to(FILES)): path.read_text()
            for path in sorted(FILES.rglob("*"))
            if path.is_file()
        }
        return cls(
            sources=tuple(package_sources(release)),
            apt_configuration=apt_settings.configuration(run("apt-config", "dump")),
            host_certificates=CERTIFICATES.read_text() if CERTIFICATES.exists() else "",
            files=own,
        )

    def digest(self) -> str:
        """Sixteen hexadecimal digits that change when anything in the image would."""
        return hashlib.sha256(repr((2, self, PACKAGES)).encode()).hexdigest()[:16]


def ensure(log: Callable[[str], None], release: Release = DEBIAN_12) -> str:
    """Return the image's tag, building the image (about a minute) or loading it from the cache first.

    Raises LocalCloudError when a tool is missing or a package server cannot be reached.
    """
    inputs = Inputs.of_this_machine(release)
    digest = inputs.digest()
    tagged = f"{REPOSITORY}:{digest}"
    folder = cache_root() / "localcloud" / "base-image"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # molecule and the local cloud may ask at the same time
        if not image_exists(tagged):
            tarball = folder / digest / "rootfs.tar"
            if not tarball.exists():
                log(f"Building the Debian {release.version} base image with debootstrap (cache key {digest})")
                _build(inputs, tarball)
            log("Importing the base image into podman")
            podman(
                "import", "--quiet", "--change", 'CMD ["/sbin/init"]', "--change", "STOPSIGNAL SIGRTMIN+3",
                "--change", "ENV container=podman", "--change", f"LABEL {LABEL}",
                "--change", f"LABEL {BUILT_LABEL}={int(tarball.stat().st_mtime)}", str(tarball), tagged,
            )  # fmt: skip
            _forget_others(folder)
        podman("tag", tagged, release.tag)
    return release.tag


def _forget_others(folder: Path) -> None:
    """Remove images of other inputs; podman keeps those that a container still uses."""
    digests = {Inputs.of_this_machine(release).digest() for release in RELEASES}
    kept = digests | {release.tag.rpartition(":")[2] for release in RELEASES}
    for tag in podman("images", "--format", "{{.Tag}}", REPOSITORY).split():
        if tag not in kept:
            succeeds("podman", "rmi", f"{REPOSITORY}:{tag}")
    for other in folder.iterdir():
        if other.is_dir() and other.name not in digests:
            shutil.rmtree(other)


def _build(inputs: Inputs, tarball: Path) -> None:
    """Make the root file system and pack it; the tarball appears only when it is complete."""
    for tool in ("debootstrap", "unshare", "tar"):
        if not shutil.which(tool):
            raise LocalCloudError(f"{tool} is missing: install Debian's package (make setup does).")
    tarball.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tarball.parent) as scratch:
        root = Path(scratch) / "root"
        main = inputs.sources[0]
        # In mounts of its own: what it mounts is gone when it is killed.
        run(
            "unshare", "--mount", "debootstrap", "--variant=minbase", "--include=ca-certificates",
            main.suite, str(root), main.uri,
        )  # fmt: skip
        _install(inputs, root)
        unfinished = Path(scratch) / "rootfs.tar"
        run(
            "tar", "--create", "--file", str(unfinished), "--directory", str(root), "--numeric-owner",
            "--xattrs", "--xattrs-include=*", "--exclude=./dev/*", ".",
        )  # fmt: skip
        unfinished.rename(tarball)


def _install(inputs: Inputs, root: Path) -> None:
    """Fill a minimal Debian with our packages and settings."""
    for name, content in inputs.files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content)
    (root / "etc/apt/sources.list").write_text("".join(f"{source.line()}\n" for source in inputs.sources))
    (root / "etc/apt/apt.conf.d/80localcloud-host").write_text(inputs.apt_configuration)
    image_bundle = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
    authorities = root / "usr/local/share/ca-certificates"
    authorities.mkdir(parents=True, exist_ok=True)
    for number, pem in enumerate(apt_settings.extra_certificates(inputs.host_certificates, image_bundle)):
        (authorities / f"localcloud-host-{number}.crt").write_text(pem)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    # Packages must not start services while they are installed.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    _chroot(root, "update-ca-certificates")
    _chroot(root, "apt-get", "update", "-q")
    _chroot(root, "apt-get", "dist-upgrade", "-q", "-y")
    _chroot(root, "apt-get", "install", "-q", "-y", "--no-install-recommends", *PACKAGES)
    policy.unlink()
    _chroot(root, "systemctl", "enable", "localcloud-host-keys.service", "localcloud-mounts.service")
    # As in Debian's own images: what must be new on every machine is not there. The upgrades' timers
    # would take the package lock away under a bake that starts seconds after the boot.
    _chroot(root, "systemctl", "mask", "apt-daily.timer", "apt-daily-upgrade.timer", "console-getty.service")
    for path in root.glob("etc/ssh/ssh_host_*"):
        path.unlink()
    (root / "etc/machine-id").write_text("")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
    (root / "etc/hostname").unlink(missing_ok=True)
    (root / "etc/resolv.conf").unlink()
    _chroot(root, "apt-get", "clean")
    shutil.rmtree(root / "var/lib/apt/lists")
    (root / "var/lib/apt/lists/partial").mkdir(parents=True)


def _chroot(root: Path, *command: str) -> None:
    """Run a command in the new root, in namespaces of its own so that nothing stays mounted or running."""
    run(
        "unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--root", str(root),
        "--mount-proc=/proc", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C",
        "HOME=/root", "DEBIAN_FRONTEND=noninteractive", *command,
    )  # fmt: skip

"""A Debian release in a folder: made once, entered with mounts that nobody else sees.

The mirror is the one that the machine's own apt uses. Mounts live in a namespace of their own and
go with the command that runs there. So the folder can be deleted like any other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.matrix.rows import PACKAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.matrix.rows import Row

PROJECT: Final = "srv/tidings"
_READY: Final = "srv/ready"
_PASSED_ON: Final = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY")

# What lets apt and pip in the folder reach what the machine's own reach.
_FOR_APT: Final = ("etc/resolv.conf", "etc/apt/apt.conf.d")
_FOR_PIP: Final = ("etc/pip.conf", "etc/ssl/certs/ca-certificates.crt")

# Bound onto itself, the folder is a mount, as the root that programs see there has to be for
# namespaces of their own. The shell stays, as process 1: it takes leave of orphans that end there,
# which no other program would do. So chroot is not the last command, which a shell may exec.
_ENTER: Final = """
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount --rbind /dev "$1/dev"
folder=$1
shift
chroot "$folder" "$@" || exit "$?"
"""


class MatrixError(RuntimeError):
    """Why a row cannot be run; a sentence."""


def refuse_where_impossible() -> None:
    """Raise `MatrixError` if this machine cannot make such folders."""
    if os.geteuid() != 0:
        raise MatrixError("Only root can make a folder of another Debian release, and enter it.")
    for program, package in {"debootstrap": "debootstrap", "unshare": "util-linux"}.items():
        if not shutil.which(program):
            raise MatrixError(f"{program} is missing: apt-get install {package}")


def make(row: Row, folder: Path) -> None:
    """Make the release's folder, if it isn't there yet, with the packages of today."""
    if is_made(row, folder):
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run(["debootstrap", "--variant=minbase", row.suite, folder, debian_mirror()])
    for name in _FOR_APT:
        _copy(name, folder)
    # Packages shall start no server: the tests start their own.
    policy = folder / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    # The lists of unstable may be older than they allow; their signatures are checked all the same.
    enter(folder, ["apt-get", "-q", "-o", "Acquire::Check-Valid-Until=false", "update"])
    install = ["apt-get", "install", "-q", "-y", "--no-install-recommends"]
    enter(folder, [*install, *packages_of(row)])
    for name in _FOR_PIP:
        _copy(name, folder)
    (folder / _READY).write_text("\n".join(packages_of(row)))


def packages_of(row: Row) -> list[str]:
    """Return what is installed in the folder."""
    return [*PACKAGES, *row.others]


def is_made(row: Row, folder: Path) -> bool:
    """Tell whether the folder was made to its end, and with these packages."""
    ready = folder / _READY
    return ready.exists() and ready.read_text().split() == packages_of(row)


def copy_project(root: Path, folder: Path) -> None:
    """Put the checkout there, as it stands, with its history; keep the environment made before."""
    project = folder / PROJECT
    venv = project / ".venv"
    kept = folder / "srv/venv"
    if venv.exists():
        venv.rename(kept)
    shutil.rmtree(project, ignore_errors=True)
    _run(["git", "clone", "--quiet", "--no-hardlinks", root, project])
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = project / name
        target.unlink(missing_ok=True)
        if (root / name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target)
    if kept.exists():
        kept.rename(venv)


def enter(folder: Path, command: Sequence[str]) -> None:
    """Run a command in the folder, with its own view of processes and mounts."""
    if code := try_to(folder, command):
        raise MatrixError(f"In {folder}: {' '.join(command)} ended with {code}.")


def try_to(
    folder: Path, command: Sequence[str], *, environment: dict[str, str] | None = None
) -> int:
    """Run a command in the folder; return its exit status."""
    variables = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
        **{name: os.environ[name] for name in os.environ if name.startswith(_PASSED_ON)},
        **(environment or {}),
    }
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"]
    return subprocess.run(
        [*namespaces, "sh", "-eu", "-c", _ENTER, "sh", folder, *command],
        env=variables,
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode


def debian_mirror() -> str:
    """Return the address of the Debian mirror that apt of this machine uses."""
    # Machines have other sources beside Debian's: its security updates, makers of programs.
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)", "Created-By: Packages"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    for line in listed.splitlines():
        site, _, label = line.partition(" ")
        if label == "Debian":
            return site
    raise MatrixError(
        "apt of this machine has package lists of no mirror of Debian's, which folders of its "
        "releases are made from. On a Debian machine: apt-get update"
    )


def _copy(name: str, folder: Path) -> None:
    source, target = Path("/") / name, folder / name
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _run(command: Sequence[str | Path]) -> None:
    if code := subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode:
        raise MatrixError(f"{' '.join(str(word) for word in command)} ended with {code}.")

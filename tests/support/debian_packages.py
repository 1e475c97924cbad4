"""Real programs for tests, from Debian's packages, without root and without touching the system.

``apt-get`` works against package lists and a cache of our own under ``.cache/debian``; a package is
unpacked with ``dpkg-deb -x`` and never installed. What the system has in ``/etc/apt`` says where
packages come from, so mirrors and proxies hold. Run as a program it fetches ahead of time::

    python -m tests.support.debian_packages prometheus prometheus-alertmanager

A package that cannot be fetched fails the test that wants it: a suite that silently leaves out its
real parts proves nothing. ``ANOMALY_SKIP_DEBIAN=1`` is the user's word that leaving out is meant:
nothing is fetched then, and tests that want what is not there are skipped.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("ANOMALY_CACHE_DIR", ROOT / ".cache")) / "debian"
SKIP_VARIABLE = "ANOMALY_SKIP_DEBIAN"
DEADLINE_S = 300.0  # lists and a 25 MB package over a slow line

# What the tests of this repository use; the default of the command line.
PACKAGES = (
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-node-exporter",
    "kubernetes-client",
    "victoria-metrics",
    "postgresql-15",
    "etcd-server",
)

# Debian's Alertmanager reads its templates from below /usr/share, where we may not put them. In a
# program a path can only be replaced by one of equal length: it becomes relative, to be run from
# the package's folder (see ``folder``).
RELOCATED = {
    "prometheus-alertmanager": {
        "usr/bin/prometheus-alertmanager": b"/usr/share/prometheus/alertmanager"
    }
}


class PackageUnavailableError(RuntimeError):
    """A Debian package could not be fetched or lacks the program asked for."""


def program(package: str, name: str) -> Path:
    """Path of a package's program, fetched on first use.

    Skips the calling test only where ``ANOMALY_SKIP_DEBIAN=1`` says so.
    """
    if not is_complete(CACHE / package) and os.environ.get(SKIP_VARIABLE) == "1":
        pytest.skip(f"{SKIP_VARIABLE}=1, and {package} is not in {CACHE}")
    fetch(package)
    patterns = (f"usr/bin/{name}", f"usr/sbin/{name}", f"usr/lib/postgresql/*/bin/{name}")
    for pattern in patterns:
        for found in sorted((CACHE / package).glob(pattern)):
            return found
    raise PackageUnavailableError(f"Debian package {package} in {CACHE} has no program {name!r}")


def folder(package: str) -> Path:
    """Where a package is unpacked: its ``/``."""
    return CACHE / package


def environment(package: str) -> dict[str, str]:
    """Return the environment to run a package in: its own shared libraries come first."""
    libraries = [str(path) for path in sorted((CACHE / package).glob("usr/lib/*-linux-gnu"))]
    inherited = os.environ.get("LD_LIBRARY_PATH")
    if inherited:
        libraries.append(inherited)
    return {**os.environ, **({"LD_LIBRARY_PATH": ":".join(libraries)} if libraries else {})}


def fetch(*packages: str) -> None:
    """Unpack each package into ``.cache/debian/<name>``; what is there already stays as it is."""
    if all(is_complete(CACHE / package) for package in packages):
        return
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise PackageUnavailableError(
            f"apt-get and dpkg-deb are needed to fetch {', '.join(packages)}; this is no Debian. "
            f"{SKIP_VARIABLE}=1 skips the tests that need them"
        )
    with locked(CACHE / ".lock"):  # xdist workers ask at the same time
        missing = [name for name in packages if not is_complete(CACHE / name)]
        if missing:
            update_lists()
        for name in missing:
            unpack(name)


def is_complete(folder: Path) -> bool:
    """Whether a package was unpacked to its end; the marker is written last."""
    return (folder / ".complete").is_file()


def update_lists() -> None:
    """Fetch package lists into our own folder.

    The answer's code is not looked at: a third party's broken repository in the system's settings
    makes it non-zero although Debian's lists arrived. If they did not, the download says so.
    """
    for folder in ("state/lists/partial", "apt-cache/archives/partial"):
        (CACHE / folder).mkdir(parents=True, exist_ok=True)
    apt("update", check=False)


def unpack(package: str) -> None:
    """Download a package with the shared libraries the system lacks, and unpack them together."""
    debs = CACHE / "debs" / package
    partial = CACHE / f"{package}.partial"
    for folder in (debs, partial):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    apt("download", package, *missing_libraries(package), cwd=debs)
    for deb in sorted(debs.glob("*.deb")):
        run(["dpkg-deb", "-x", str(deb), str(partial)], cwd=debs)
    for name, path in RELOCATED.get(package, {}).items():
        program_file = partial / name
        relative = path.removeprefix(b"/").replace(b"/", b"//", 1)
        program_file.write_bytes(program_file.read_bytes().replace(path, relative))
    versions = "\n".join(sorted(deb.name for deb in debs.glob("*.deb")))
    (partial / ".complete").write_text(f"{versions}\n", encoding="utf-8")
    final = CACHE / package
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    shutil.rmtree(debs)


def missing_libraries(package: str) -> list[str]:
    """Libraries an installation would bring along; scripts, daemons and fonts are not needed."""
    plan = apt("install", "--simulate", "--no-install-recommends", package, check=False)
    installs = re.findall(r"^Inst (\S+)", plan, flags=re.MULTILINE)
    return [name for name in installs if name.startswith("lib") and not name.startswith("libjs-")]


def apt(*arguments: str, cwd: Path | None = None, check: bool = True) -> str:
    """Run ``apt-get`` on our own state; returns what it printed."""
    options = {
        "Dir::State": str(CACHE / "state"),
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": str(CACHE / "apt-cache"),
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "",  # as root it would change to a user who may not enter our folder
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Acquire::http::Timeout": "30",
    }
    settings = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    return run(["apt-get", "-q", *settings, *arguments], cwd=cwd or CACHE, check=check)


def run(command: Sequence[str], *, cwd: Path, check: bool = True) -> str:
    """Run a command; a failure shows its last lines."""
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    if check and done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise PackageUnavailableError(
            f"{command[0]} {command[-1]} ended with {done.returncode}; {SKIP_VARIABLE}=1 skips "
            f"the tests that need it. Its last lines:\n{tail}"
        )
    return done.stdout


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file lock between processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(packages: Sequence[str]) -> int:
    """Fetch packages ahead of time; without names, all that the tests use."""
    if os.environ.get(SKIP_VARIABLE) == "1":
        sys.stdout.write(f"{SKIP_VARIABLE}=1: nothing fetched\n")
        return 0
    wanted = packages or PACKAGES
    try:
        fetch(*wanted)
    except PackageUnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for package in wanted:
        sys.stdout.write(f"{package}: {CACHE / package}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Where a pod's files are, and how paths inside a container become paths of this machine.

Processes of all pods share one file system, so each container has a folder that stands for its
root; ``/etc/app`` of a container is ``<root>/etc/app``. Mount paths that occur in the command, the
arguments or an environment value are replaced by the path below that root.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# A mount path ends where one of these follows; anything else is another path that begins alike.
_END = r"(?=$|[/:,;\s\"'=&)\]}?])"


@dataclass(frozen=True, slots=True)
class PodPaths:
    """Folders of one pod."""

    folder: Path

    def volume(self, name: str) -> Path:
        """Content of a volume."""
        return self.folder / "volumes" / name

    def root(self, container: str) -> Path:
        """What stands for a container's root folder."""
        return self.folder / "containers" / container / "root"

    def log(self, container: str, restart: int) -> Path:
        """Standard output and error of one start of a container."""
        return self.folder / "containers" / container / f"{restart}.log"


def rewrite(text: str, mount_paths: Iterable[str], *, root: Path) -> str:
    """Put ``root`` before every mount path in ``text``.

    Examples
    --------
    >>> rewrite("--data=/var/lib/app/db", ["/var/lib/app"], root=Path("/pods/1"))
    '--data=/pods/1/var/lib/app/db'
    >>> rewrite("/srv/var/lib/app /var/lib/apple", ["/var/lib/app"], root=Path("/pods/1"))
    '/srv/var/lib/app /var/lib/apple'
    """
    known = sorted((path.rstrip("/") for path in mount_paths if path != "/"), key=len, reverse=True)
    if not known:
        return text
    pattern = rf"(?<![\w.\-])({'|'.join(map(re.escape, known))}){_END}"
    return re.sub(pattern, lambda match: f"{root}{match[1]}", text)


def link_mount(root: Path, mount_path: str, *, target: Path) -> None:
    """Make ``mount_path`` below ``root`` lead to ``target``."""
    link = root / mount_path.strip("/")
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        if link.readlink() == target:
            return
        link.unlink()
    link.symlink_to(target)

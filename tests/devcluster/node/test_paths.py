"""Paths of containers become paths of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomaly_operator.devcluster.node.paths import link_mount, rewrite

ROOT = Path("/pods/1")

CASES = {
    "an argument that is a mount path": ("/etc/app", "/pods/1/etc/app"),
    "a file below it": ("/etc/app/job.json", "/pods/1/etc/app/job.json"),
    "behind an option's equals sign": ("--job=/etc/app/a", "--job=/pods/1/etc/app/a"),
    "in a URL": ("sqlite:////var/lib/app/x.db", "sqlite:////pods/1/var/lib/app/x.db"),
    "several in a list": ("/etc/app:/var/lib/app", "/pods/1/etc/app:/pods/1/var/lib/app"),
    "in a shell command": ("cat '/etc/app/x'; ls", "cat '/pods/1/etc/app/x'; ls"),
    "a path that only begins alike": ("/etc/apple", "/etc/apple"),
    "a path that only ends alike": ("/usr/etc/app", "/usr/etc/app"),
    "a deeper mount wins": ("/etc/app/deep/x", "/pods/1/etc/app/deep/x"),
    "nothing to replace": ("--level=info", "--level=info"),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_mount_paths_are_put_below_the_containers_root(text: str, expected: str) -> None:
    mounts = ["/etc/app", "/etc/app/deep", "/var/lib/app/"]
    assert rewrite(text, mounts, root=ROOT) == expected


def test_a_mount_leads_to_its_volume_and_follows_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    link_mount(tmp_path / "root", "/etc/app", target=first)
    link_mount(tmp_path / "root", "/etc/app", target=second)
    assert (tmp_path / "root/etc/app/name").read_text() == "second"

"""Write what is generated and committed: CRDs, field reference, settings. ``--check`` compares.

``make generate`` and ``make verify`` call this; a test does too, so that drift cannot stay.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from anomaly_operator.api.crd import crd_yaml, custom_resource_definition
from anomaly_operator.api.group import GROUP
from anomaly_operator.api.v1alpha1.kinds import KINDS
from anomaly_operator.devtools import reference, settings_page

ROOT = Path(__file__).parents[3]


def generated() -> dict[str, str]:
    """Every generated file: path from the repository's root, and its text."""
    files = {
        f"crds/{kind.crd_name}.yaml": crd_yaml(custom_resource_definition(kind)) for kind in KINDS
    }
    files["docs/spec/v1alpha1/reference.md"] = reference.render(KINDS)
    files["docs/configuration.md"] = settings_page.render()
    return files


def drifted(root: Path) -> list[str]:
    """Paths whose committed text is not what the models say; CRDs that no model has, too."""
    files = generated()
    wrong = [
        path
        for path, text in files.items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]
    known = {root / path for path in files}
    return wrong + [
        str(path.relative_to(root))
        for path in sorted((root / "crds").glob(f"*.{GROUP}.yaml"))
        if path not in known
    ]


def write(root: Path) -> None:
    """Write every generated file."""
    for path, text in generated().items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Write, or with ``--check`` compare; the exit code says whether all is well."""
    if "--check" not in arguments:
        write(ROOT)
        return 0
    wrong = drifted(ROOT)
    for path in wrong:
        sys.stderr.write(f"{path} is not what the models say; run `make generate`\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Builds what is released: wheel, source archive, what is in them (CycloneDX), and the hashes of all.

pip install -c constraints.txt '.[all,release]' && python scripts/release.py --out dist
cd dist && sha256sum --check SHA256SUMS
"""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import click

from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.doctor.licences import NOT_STATED, Package, used_packages
from tinydf_runtime.errors import MissingExtraError, OutputError, install_line
from tinydf_runtime.io.files import sha256_of, write_atomically
from tinydf_runtime.models.shipped import write_record

ROOT = Path(__file__).resolve().parent.parent
INSTALLS: dict[str, frozenset[str] | None] = {"": frozenset(), "-all": frozenset({"all"})}
"""Ending of a bill of materials -> the extras that it covers."""


def bill_of_materials(packages: list[Package], artefacts: list[Path]) -> dict[str, Any]:
    """Returns a CycloneDX 1.6 document: TinyDF with the hashes of its artefacts, and what is installed for it.

    The same packages give the same document, byte for byte: it holds no time, and its number is made of its content.
    """
    components = [_component(package) for package in packages]
    of_name = {package.name.lower().replace("_", "-").replace(".", "-"): package for package in packages}
    main = components[0]
    main["type"] = "application"
    main["externalReferences"] = [
        {
            "type": "distribution",
            "url": path.name,
            "hashes": [{"alg": "SHA-256", "content": sha256_of(path)}],
        }
        for path in artefacts
    ]
    body = {
        "metadata": {
            "component": main,
            "tools": {"components": [{"type": "application", "name": "scripts/release.py"}]},
        },
        "components": components[1:],
        "dependencies": [
            {"ref": _purl(package), "dependsOn": [_purl(of_name[name]) for name in package.needs if name in of_name]}
            for package in packages
        ],
    }
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{number}", "version": 1, **body}


def _component(package: Package) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "purl": _purl(package),
    }
    if package.licence != NOT_STATED:
        component["licenses"] = [{"license": {"name": package.licence}}]
    if package.libraries:
        # Inside the wheel, and updated with it alone.
        component["components"] = [
            {"type": "library", "bom-ref": f"{_purl(package)}#{name}", "name": name} for name in package.libraries
        ]
    return component


def _purl(package: Package) -> str:
    return f"pkg:pypi/{package.name.lower().replace('_', '-')}@{package.version}"


def build(out: Path) -> list[Path]:
    """Returns the wheel and the source archive, built into an empty folder.

    Raises:
        OutputError: The folder holds something, or building fails.
    """
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise OutputError(f"{out}: is not empty. Choose a new folder, so that nothing else is released.")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        if "No module named build" in done.stderr:
            raise MissingExtraError(f"build: is not installed. In the clone of TinyDF: {install_line('release')}")
        raise OutputError(f"{out}: could not be built ({(done.stdout + done.stderr).strip().splitlines()[-1]}).")
    return [*out.glob("*.whl"), *out.glob("*.tar.gz")]


@click.command("release", cls=OneLineCommand, epilog="Example: python scripts/release.py --out dist")
@click.option("--out", type=click.Path(path_type=Path), default=Path("dist"), show_default=True, metavar="FOLDER")
def main(out: Path) -> None:
    """Builds a release into a new folder."""
    artefacts = build(out)
    for ending, extras in INSTALLS.items():
        bill = bill_of_materials(used_packages(extras), artefacts)
        name = f"{artefacts[-1].name.removesuffix('.tar.gz')}{ending}.cdx.json"
        write_atomically(out / name, (json.dumps(bill, indent=1) + "\n").encode())
        click.echo(f"{name}: {len(bill['components'])} packages")
    write_record(out)
    click.echo(f"{out}: {', '.join(path.name for path in artefacts)}, hashes in SHA256SUMS")


if __name__ == "__main__":
    main()

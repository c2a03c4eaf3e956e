"""What a machine that provisions installs from requirements.lock: its bill of materials, and the licences of it.

usage: python .ci/sbom.py sbom       writes dist/sbom.cdx.json, CycloneDX 1.6: what this machine installs, with licences,
                                     dependencies, and the digests that the lock allows
       python .ci/sbom.py licences   writes docs/licences.md
exit:  0 written; 1 the environment is not the lock's, or what was made is not valid
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
SBOM = ROOT / "dist/sbom.cdx.json"
LICENCES = ROOT / "docs/licences.md"
EXTRAS = ("local", "container")  # as `make lock` takes them
HEAD = """# Licences

What `requirements.lock` pins, and under which licence, as each package declares it. Written by `make licences` on Linux
with Python 3.{minor}; what another system or version needs besides is listed with its condition, and without a licence where
it is not installed here. `make sbom` writes the same as a CycloneDX bill of materials.

| package | version | licence |
|---|---|---|
"""


def pins() -> list[tuple[Requirement, list[str]]]:
    """Return what the lock pins, each with the SHA-256 digests of its files."""
    entries = re.findall(r"^([a-z0-9][^\\\n]*)\\\n((?: +--hash=.*\n)+)", LOCK.read_text(encoding="utf-8"), re.M)
    return [(Requirement(text.strip()), re.findall(r"sha256:(\w+)", digests)) for text, digests in entries]


def version(pin: Requirement) -> str:
    """Return the version that is pinned."""
    return str(pin.specifier).removeprefix("==")


def installed() -> dict[str, Any]:
    """Return the bill of materials of the environment that this runs in, tools of developers included."""
    words = ["environment", sys.executable, "--pyproject", "pyproject.toml", "--output-reproducible", "--no-validate"]
    done = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", *words], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"sbom: the environment could not be read; make it anew: make setup-dev\n{done.stderr}")
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill


def components(bill: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the components of *bill* by name and version."""
    return {(canonicalize_name(each["name"]), each["version"]): each for each in bill["components"]}


def sbom() -> str:
    """Return the bill of materials of what the lock installs on this machine."""
    bill = installed()
    there, kept = components(bill), {}
    for pin, digests in pins():
        if pin.marker and not pin.marker.evaluate():
            continue
        component = there.get((pin.name, version(pin)))
        if component is None:
            sys.exit(f"sbom: {pin} is pinned and not installed; make the environment anew: make setup-dev")
        hashes = [{"alg": "SHA-256", "content": each} for each in digests]
        files = {"type": "distribution", "url": component["purl"], "hashes": hashes, "comment": "files the lock allows"}
        component.setdefault("externalReferences", []).append(files)
        kept[pin.name] = component
    bill["components"] = [*kept.values()]
    refs = {each["bom-ref"] for each in kept.values()}
    bill["dependencies"] = [
        {**each, "dependsOn": [ref for ref in each.get("dependsOn", []) if ref in refs]}
        for each in bill["dependencies"]
        if each["ref"] in refs
    ]
    own = bill["metadata"]["component"]["bom-ref"]
    bill["dependencies"].append({"ref": own, "dependsOn": sorted(kept[name]["bom-ref"] for name in direct())})
    return json.dumps(bill, indent=2, sort_keys=True) + "\n"


def direct() -> set[str]:
    """Return the names of what the project itself asks for, of the extras that the lock holds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {*EXTRAS}
    names: set[str] = set()
    asked = [*project["dependencies"], *(each for extra in EXTRAS for each in project["optional-dependencies"][extra])]
    while asked:
        requirement = Requirement(asked.pop())
        if requirement.name != project["name"]:
            names.add(canonicalize_name(requirement.name))
            continue
        for extra in requirement.extras - extras:
            extras.add(extra)
            asked += project["optional-dependencies"][extra]
    return names


def licences() -> str:
    """Return the page: a row for each pin."""
    there = components(installed())
    rows = []
    for pin, _ in pins():
        condition = f" ({pin.marker})" if pin.marker else ""
        component = there.get((pin.name, version(pin)), {})
        rows.append(f"| {pin.name}{condition} | {version(pin)} | {_licence(component.get('licenses', []))} |")
    return HEAD.format(minor=sys.version_info[1]) + "\n".join(rows) + "\n"


def _licence(declared: list[dict[str, Any]]) -> str:
    """Return SPDX's names; where a package declares none, its classifiers."""
    spdx = [each.get("expression") or each["license"].get("id") for each in declared]
    classifiers = [each.get("license", {}).get("name", "").rpartition(":: ")[2] for each in declared]
    return "; ".join(filter(None, spdx)) or "; ".join(classifiers) or "-"


def main(words: list[str]) -> None:
    """Write what is asked for."""
    wanted = {"sbom": (SBOM, sbom), "licences": (LICENCES, licences)}
    if len(words) != 1 or words[0] not in wanted:
        sys.exit(__doc__)
    path, made = wanted[words[0]]
    text = made()
    if path == SBOM and (wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)):
        sys.exit(f"sbom: what was made is no CycloneDX 1.6, and is not written: {wrong}")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"{path.relative_to(ROOT)} is written")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])

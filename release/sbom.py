"""Prints what the node is made of as a CycloneDX 1.6 bill of materials: packages as installed, and weights.

Run as `python release/sbom.py > sbom.json`, in the environment that is to be described.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import uuid
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = "dicomnode-ai"
MODELS = Path(__file__).resolve().parents[1] / "models"

#: A constant of this project, so that the same parts have the same serial number.
_NAMESPACE = uuid.UUID("0d3c0a52-6a0f-4c0b-9b0e-5b7b8f0a6c11")


def name_of(dist: Distribution) -> str:
    """The name of a package as PEP 503 writes it."""
    return re.sub(r"[-_.]+", "-", dist.metadata["Name"]).lower()


def needed(dist: Distribution) -> list[str]:
    """Names of the packages that it needs here, without extras."""
    requirements = [Requirement(one) for one in dist.requires or []]
    return [one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]


def packages(root: str = ROOT) -> dict[str, Distribution]:
    """The package and all that it needs, directly or not; what is not installed is no part of the node."""
    found: dict[str, Distribution] = {}
    left = [root]
    while left:
        try:
            dist = distribution(left.pop())
        except PackageNotFoundError:
            continue
        if name_of(dist) not in found:
            found[name_of(dist)] = dist
            left += needed(dist)
    return dict(sorted(found.items()))


def component(name: str, dist: Distribution) -> dict[str, Any]:
    """A package with version and licence, as its own metadata tell."""
    told = {"type": "library", "bom-ref": name, "name": name, "version": dist.version}
    told["purl"] = f"pkg:pypi/{name}@{dist.version}"
    licence = _licence(dist)
    return {**told, "licenses": [licence]} if licence else told


def _licence(dist: Distribution) -> dict[str, Any] | None:
    for expression in dist.metadata.get_all("License-Expression") or []:
        return {"expression": expression}
    classified = [one for one in dist.metadata.get_all("Classifier") or [] if one.startswith("License ::")]
    # Some packages put the whole text here, which is no name.
    plain = "".join(dist.metadata.get_all("License") or []).strip().split("\n")[0]
    name = plain or ", ".join(one.split(" :: ")[-1] for one in classified)
    return {"license": {"name": name}} if name else None


def weights(folder: Path = MODELS) -> list[dict[str, Any]]:
    """The networks that are shipped, by their hash."""
    return [
        {
            "type": "machine-learning-model",
            "bom-ref": f"model/{path.parent.name}/{path.name}",
            "name": f"{path.parent.name}/{path.name}",
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(path.read_bytes()).hexdigest()}],
        }
        for path in sorted(folder.glob("*/*.onnx"))
    ]


def bill() -> dict[str, Any]:
    """The whole document; the same parts give the same document."""
    found = packages()
    own = component(ROOT, found.pop(ROOT))
    parts = [*(component(name, dist) for name, dist in found.items()), *weights()]
    names = {re.sub(r"[-_.]+", "-", name).lower() for name in found}
    edges = [
        {"ref": name, "dependsOn": sorted({re.sub(r"[-_.]+", "-", one).lower() for one in needed(dist)} & names)}
        for name, dist in {ROOT: distribution(ROOT), **found}.items()
    ]
    serial = uuid.uuid5(_NAMESPACE, json.dumps([own, parts, edges], sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {**own, "type": "application"}},
        "components": parts,
        "dependencies": edges,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bill(), indent=2) + "\n")

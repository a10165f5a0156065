#!/usr/bin/env python3
"""Lists what the program is made of: contents.py FOLDER writes two files into the folder.

sbom.cdx.json is an SBOM in the format CycloneDX 1.5, and THIRD-PARTY-LICENSES has the licenses of the crates. Both are
about the crates that are linked into the program, and those of the engine (guest/), which is a part of the program.
"""

import json
import os
import re
import subprocess
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
# The folder of the manifest, the package, and the platform for which it is built.
PARTS = [
    (REPO, "sluice", "x86_64-unknown-linux-gnu"),
    (REPO / "guest", "sluice-engine", "wasm32-wasip1"),
]
LICENSE_FILE = re.compile(r"^(license|licence|copying|copyright|notice|unlicense)", re.IGNORECASE)


def cargo(folder, *arguments):
    """What cargo prints in a folder."""
    return subprocess.run(
        ["cargo", *arguments, "--locked"], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def linked_ids(folder, package, platform):
    """The names and versions of the crates that are linked into the package."""
    tree = cargo(folder, "tree", "--package", package, "--target", platform,
                 "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}")
    return {tuple(line.split()[:2]) for line in tree.splitlines() if line}


def checksums(folder):
    """The SHA-256 of each crate that comes from a registry."""
    crates = (folder / "Cargo.lock").read_text().split("[[package]]\n")[1:]
    entries = [dict(re.findall(r'^(\w+) = "(.*)"$', crate, re.MULTILINE)) for crate in crates]
    return {(entry["name"], entry["version"]): entry.get("checksum") for entry in entries}


def read_part(folder, package, platform):
    """The crates of a part by name and version, and on which others each of them depends."""
    metadata = json.loads(cargo(folder, "metadata", "--format-version", "1", "--filter-platform", platform))
    linked = {(name, version.removeprefix("v")) for name, version in linked_ids(folder, package, platform)}
    sums = checksums(folder)
    names, crates, depends = {}, {}, {}
    for crate in metadata["packages"]:
        key = (crate["name"], crate["version"])
        names[crate["id"]] = key
        if key in linked:
            crates[key] = crate | {"checksum": sums.get(key)}
    for node in metadata["resolve"]["nodes"]:
        if names[node["id"]] in crates:
            normal = [dep["pkg"] for dep in node["deps"] if any(kind["kind"] is None for kind in dep["dep_kinds"])]
            depends[names[node["id"]]] = sorted({names[id] for id in normal} & crates.keys())
    return crates, depends


def reference(key):
    return f"pkg:cargo/{key[0]}@{key[1]}"


def component(key, crate):
    """A crate as CycloneDX describes it."""
    described = {"type": "library", "bom-ref": reference(key), "name": key[0], "version": key[1]}
    if crate["description"]:
        described["description"] = " ".join(crate["description"].split())
    if crate["checksum"]:
        described["hashes"] = [{"alg": "SHA-256", "content": crate["checksum"]}]
    if crate["license"]:
        # Old crates write a slash.
        described["licenses"] = [{"expression": re.sub(r"\s*/\s*", " OR ", crate["license"])}]
    if crate["source"]:
        described["purl"] = reference(key)
    if crate["repository"]:
        described["externalReferences"] = [{"type": "vcs", "url": crate["repository"]}]
    return described


def sbom(parts):
    """The SBOM. Its serial number is made from its content, so that the same crates give the same bytes."""
    crates, depends = {}, {}
    for part_crates, part_depends in parts:
        crates |= part_crates
        for key, others in part_depends.items():
            depends[key] = sorted({*depends.get(key, []), *others})
    main, engine = [next(key for key in crates if key[0] == package) for _, package, _ in PARTS]
    depends[main] = [*depends[main], engine]
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc).isoformat(),
            "component": component(main, crates[main]) | {"type": "application"},
        },
        "components": [component(key, crates[key]) for key in sorted(crates) if key != main],
        "dependencies": [
            {"ref": reference(key), "dependsOn": [reference(other) for other in depends[key]]}
            for key in sorted(depends)
        ],
    }
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(made, sort_keys=True))
    return made | {"serialNumber": f"urn:uuid:{serial}"}, crates


def license_texts(crate):
    """The license files of a crate."""
    folder = Path(crate["manifest_path"]).parent
    files = [file for file in sorted(folder.iterdir()) if LICENSE_FILE.match(file.name)]
    for file in files:
        for inner in sorted(file.iterdir()) if file.is_dir() else [file]:
            if inner.is_file():
                yield inner.read_text(errors="replace").replace("\r\n", "\n").strip()


def licenses(crates):
    """Each license text once, with the crates that have it."""
    texts, without = {}, []
    for key, crate in sorted(crates.items()):
        if not crate["source"]:
            continue
        label = f"{key[0]} {key[1]} ({crate['license'] or 'see below'})"
        found = list(dict.fromkeys(license_texts(crate)))
        for text in found:
            texts.setdefault(text, []).append(label)
        if not found:
            without.append(label)
    rule = "=" * 78
    written = ["Sluice contains these libraries, under these licenses."]
    for text, labels in sorted(texts.items(), key=lambda item: item[1]):
        written += [rule, *labels, "", text]
    if without:
        written += [rule, "Libraries whose packages contain no text of their license:", *without]
    return "\n".join(written) + "\n"


def main():
    folder = Path(sys.argv[1])
    made, crates = sbom([read_part(*part) for part in PARTS])
    (folder / "sbom.cdx.json").write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    (folder / "THIRD-PARTY-LICENSES").write_text(licenses(crates))


main()

"""Checks Kubernetes manifests against the real schemas, unknown fields included.

Usage: manifests.py KSERVE_CRD.yaml MANIFEST.yaml...   Prints a JSON object: problems by file.

Kubernetes' own kinds are checked by kubernetes-validate, for the oldest and the newest release that it knows;
KServe's by the OpenAPI schema of its custom resource definition.
"""

import json
import sys

import jsonschema
import kubernetes_validate
import yaml

RELEASES = ("1.25", "1.37")
crd_path, *paths = sys.argv[1:]


def strict(schema):
    """The schema with unknown fields refused, as `kubectl --validate=strict` does."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    out = {key: strict(value) for key, value in schema.items()}
    if isinstance(out.get("properties"), dict) and not out.get("x-kubernetes-preserve-unknown-fields"):
        out.setdefault("additionalProperties", False)
    if out.get("x-kubernetes-int-or-string"):
        out.pop("type", None)
        out["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return out


def kserve_schema(kind, version):
    with open(crd_path, encoding="utf8") as file:
        crd = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    assert crd["spec"]["names"]["kind"] == kind
    [found] = [one for one in crd["spec"]["versions"] if one["name"] == version]
    schema = strict(found["schema"]["openAPIV3Schema"])
    # A CRD leaves these to the API server.
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def problems_of(manifest):
    group = manifest["apiVersion"]
    if group.startswith("serving.kserve.io/"):
        validator = jsonschema.Draft7Validator(kserve_schema(manifest["kind"], group.split("/")[1]))
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(manifest)]
    found = []
    for release in RELEASES:
        try:
            kubernetes_validate.validate(manifest, release, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{release}: {'.'.join(map(str, error.path))}: {error.message}")
    return found


answers = {}
for path in paths:
    with open(path, encoding="utf8") as file:
        answers[path] = [problem for manifest in yaml.safe_load_all(file) for problem in problems_of(manifest)]
print(json.dumps(answers))

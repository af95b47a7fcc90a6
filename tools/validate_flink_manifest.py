"""Check templates/flink against the published schema of the Flink Kubernetes operator (on Maven Central).

    python -m tools.validate_flink_manifest

The check is stricter than a cluster: an unknown field is an error, whereas Kubernetes drops it.
"""

from __future__ import annotations

import pathlib
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

import yaml

from tools.flink import artifacts

MANIFEST = pathlib.Path(__file__).resolve().parents[1] / "templates" / "flink" / "cluster.yaml"
_SCHEMA_FILE = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"


def operator_schema() -> dict[str, Any]:
    """Returns the schema of a FlinkDeployment. Raises MissingError if Maven cannot fetch it."""
    with zipfile.ZipFile(artifacts.fetch_operator_api()) as jar:
        resource = yaml.load(
            jar.read(_SCHEMA_FILE), yaml.CSafeLoader
        )  # SafeLoader takes seconds for this half megabyte
    (version,) = resource["spec"]["versions"]
    return {"version": version["name"], "group": resource["spec"]["group"], **version["schema"]["openAPIV3Schema"]}


def deployments(manifest: pathlib.Path = MANIFEST) -> list[dict[str, Any]]:
    """Returns the FlinkDeployments of a manifest."""
    documents = yaml.safe_load_all(manifest.read_text("utf-8"))
    return [document for document in documents if document["kind"] == "FlinkDeployment"]


def mistakes(deployment: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Yields the faults of a FlinkDeployment."""
    import jsonschema

    if deployment["apiVersion"] != f"{schema['group']}/{schema['version']}":
        yield f"apiVersion: {deployment['apiVersion']}"
    for error in jsonschema.Draft7Validator(_strict(schema)).iter_errors({"spec": deployment["spec"]}):
        yield f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}"


def _strict(schema: Any) -> Any:
    """Returns the schema with all unknown fields forbidden."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
    return strict


def main() -> int:
    """Prints the faults and returns the exit code."""
    schema = operator_schema()
    found = [mistake for deployment in deployments() for mistake in mistakes(deployment, schema)]
    print("\n".join(found) or f"{MANIFEST.name}: valid")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Writes the schemas of other projects' kinds that the manifests use, as their definitions say.

In an environment of its own: pip install cloudcoil-models-keda cloudcoil-models-prometheus-operator pyyaml
python tests/deploy/kinds/generate.py FOLDER

FOLDER holds Strimzi's definitions as Strimzi's own generator writes them (Java ≥ 21; jars by a pom.xml that names
io.strimzi:api and io.strimzi:crd-generator and mvn dependency:copy-dependencies -DoutputDirectory=FOLDER/jars):
java -cp 'FOLDER/jars/*' io.strimzi.crdgenerator.CrdGenerator --yaml \\
  io.strimzi.api.kafka.model.topic.KafkaTopic=FOLDER/KafkaTopic.yaml \\
  io.strimzi.api.kafka.model.user.KafkaUser=FOLDER/KafkaUser.yaml
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as operator

KINDS = {
    keda.ScaledObject: "cloudcoil.models.keda",
    keda.TriggerAuthentication: "cloudcoil.models.keda",
    operator.PodMonitor: "cloudcoil.models.prometheus_operator",
    operator.PrometheusRule: "cloudcoil.models.prometheus_operator",
}


def closed(schema: Any) -> Any:
    """Without words, and with no fields but the known ones."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for name, value in schema.items():
        if name in {"properties", "$defs"}:
            kept[name] = {inner: closed(each) for inner, each in value.items()}
        elif name not in {"description", "title", "default"}:
            kept[name] = closed(value)
    if "properties" in kept:
        kept.setdefault("additionalProperties", False)
    return kept


def strimzis(folder: Path, kind: str) -> Any:
    """The schema of the newest version of a kind."""
    (jar,) = (folder / "jars").glob("api-*.jar")
    (newest, *_) = yaml.safe_load((folder / f"{kind}.yaml").read_text("utf-8"))["spec"]["versions"]
    comment = f"from io.strimzi:{jar.stem}, {newest['name']}"
    return {"$comment": comment, **closed(newest["schema"]["openAPIV3Schema"])}


def write(kind: str, schema: Any) -> None:
    target = Path(__file__).with_name(f"{kind}.json")
    target.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    for model, package in KINDS.items():
        made_from = f"from {package} {version(package)}"
        write(model.__name__, {"$comment": made_from, **closed(model.model_json_schema(by_alias=True))})
    for name in ("KafkaTopic", "KafkaUser"):
        write(name, strimzis(Path(sys.argv[1]), name))

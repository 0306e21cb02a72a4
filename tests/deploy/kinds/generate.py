"""Writes the schemas of other projects' kinds that the manifests use, as their definitions say.

In an environment of its own: pip install cloudcoil-models-keda cloudcoil-models-prometheus-operator
python tests/deploy/kinds/generate.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cloudcoil.models.keda import v1alpha1 as keda
from cloudcoil.models.prometheus_operator import v1 as operator

KINDS = {
    keda.ScaledObject: "cloudcoil.models.keda",
    keda.TriggerAuthentication: "cloudcoil.models.keda",
    operator.PodMonitor: "cloudcoil.models.prometheus_operator",
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


if __name__ == "__main__":
    for kind, package in KINDS.items():
        schema = {"$comment": f"from {package} {version(package)}", **closed(kind.model_json_schema(by_alias=True))}
        target = Path(__file__).with_name(f"{kind.__name__}.json")
        target.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n", "utf-8")

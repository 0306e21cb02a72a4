"""Writes alerts.yaml, the rules of deploy/prometheus as the Prometheus operator takes them.

python deploy/k8s/base/generate.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
RULES = HERE.parents[1] / "prometheus" / "rules.yml"


def alerts(rules: dict[str, Any]) -> dict[str, Any]:
    kind = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": "scanner"}}
    return {**kind, "spec": rules}


if __name__ == "__main__":
    text = yaml.safe_dump(alerts(yaml.safe_load(RULES.read_text("utf-8"))), sort_keys=False, width=120)
    about = "# The rules of deploy/prometheus/rules.yml; generate.py writes this, tests hold it to them."
    (HERE / "alerts.yaml").write_text(f"{about}\n{text}", "utf-8")

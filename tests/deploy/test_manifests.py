"""Image, compose file and manifests: linted, valid, and true to the product's own settings, topics and rights."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from scanner.assembly.bus import topic_plans, topics_of
from scanner.bus.acls import ROLES, grants
from scanner.settings import load

DEPLOY = Path(__file__).parents[2] / "deploy"
K8S = DEPLOY / "k8s"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
KUBERNETES = "1.31"
FOREIGN = {"keda.sh", "monitoring.coreos.com", "kustomize.config.k8s.io", "kafka.strimzi.io"}
"""their schemas are not Kubernetes' own"""


def documents(folder: Path) -> list[dict[str, Any]]:
    return [each for path in sorted(folder.glob("*.yaml")) for each in yaml.safe_load_all(path.read_text("utf-8"))]


def of_kind(kind: str, folder: Path = K8S / "base") -> list[dict[str, Any]]:
    return [each for each in documents(folder) if each["kind"] == kind]


def variables(container: dict[str, Any]) -> dict[str, str]:
    """What a container alone is told: a value, or its CPU request, which Kubernetes rounds up to whole cores."""
    told = {}
    for entry in container.get("env", []):
        if "valueFrom" in entry:
            assert entry["valueFrom"] == {"resourceFieldRef": {"resource": "requests.cpu"}}
        told[entry["name"]] = entry.get("value") or str(cores(container["resources"]["requests"]["cpu"]))
    return told


def cores(quantity: str) -> int:
    return math.ceil(float(quantity.removesuffix("m")) / (1000 if quantity.endswith("m") else 1))


def mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("SCANNER_")]:
        monkeypatch.delenv(name)


def test_the_dockerfile_is_well_made() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, DEPLOY / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_takes_every_manifest_of_its_own_kinds() -> None:
    checked = 0
    for each in documents(K8S / "base"):
        if each["apiVersion"].partition("/")[0] not in FOREIGN:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)
            checked += 1
    assert checked == 11


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        ("ScaledObject", "base"),
        ("TriggerAuthentication", "base"),
        ("PodMonitor", "base"),
        ("PrometheusRule", "base"),
        ("KafkaTopic", "strimzi"),
        ("KafkaUser", "strimzi"),
    ],
)
def test_keda_the_prometheus_operator_and_strimzi_take_the_manifests_of_their_kinds(kind, folder) -> None:
    schema = json.loads((Path(__file__).parent / "kinds" / f"{kind}.json").read_text("utf-8"))
    judge = Draft202012Validator(schema)
    found = of_kind(kind, K8S / folder)
    assert found
    for each in found:
        assert [error.message for error in judge.iter_errors(each)] == []
        assert list(judge.iter_errors({**each, "spec": {**each["spec"], "nonsense": 1}})) != []
        assert list(judge.iter_errors({**each, "spec": 7})) != []


def test_no_kind_of_others_goes_unchecked() -> None:
    known = {path.stem for path in (Path(__file__).parent / "kinds").glob("*.json")} | {"Kustomization"}
    manifests = [*documents(K8S / "base"), *documents(K8S / "strimzi")]
    assert {each["kind"] for each in manifests if each["apiVersion"].split("/")[0] in FOREIGN} == known


def test_every_file_is_listed_in_its_kustomization() -> None:
    for folder in (K8S / "base", K8S / "strimzi"):
        (listed,) = of_kind("Kustomization", folder)
        assert set(listed["resources"]) == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not part of the set-up; schemas are checked above")
@pytest.mark.parametrize("name", ["base", "gpu", "strimzi"])
def test_kustomize_builds(name) -> None:
    done = subprocess.run(["kubectl", "kustomize", K8S / name], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    if name == "gpu":
        assert "nvidia.com/gpu: 1" in done.stdout
        (worker,) = [
            each
            for each in yaml.safe_load_all(done.stdout)
            if each["metadata"]["name"] == "scanner-worker" and each["kind"] == "Deployment"
        ]
        (container,) = worker["spec"]["template"]["spec"]["containers"]
        assert variables(container).keys() == {
            "SCANNER_SCAN__CELLS",
            "SCANNER_SCAN__SCORE_THREADS",
            "SCANNER_SCAN__DEVICE",
        }


def test_settings_that_are_given_exist(monkeypatch) -> None:
    (config,) = of_kind("ConfigMap")
    given = dict(config["data"])
    for each in of_kind("Deployment"):
        for container in each["spec"]["template"]["spec"]["containers"]:
            given |= variables(container)
    for service in COMPOSE["services"].values():
        given |= {name: str(value) for name, value in service.get("environment", {}).items() if "SCANNER_" in name}
    given |= dict(re.findall(r"(SCANNER_\w+)=(\S+)", (DEPLOY / "Dockerfile").read_text("utf-8")))
    assert len(given) > 8
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    load()


def test_pods_may_do_as_little_as_they_can() -> None:
    for each in of_kind("Deployment"):
        pod = each["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]


def test_workers_reach_kafka_and_names_and_nothing_else() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    assert policies["nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    allowed = [rule for spec in policies.values() for rule in spec.get("egress", [])]
    assert [[port["port"] for port in rule["ports"]] for rule in allowed] == [[9093], [53, 53]]


def test_no_more_workers_are_asked_for_than_there_are_partitions() -> None:
    (scaled,) = of_kind("ScaledObject")
    assert scaled["spec"]["maxReplicaCount"] == load().topics.partitions
    assert scaled["spec"]["scaleTargetRef"]["name"] in {each["metadata"]["name"] for each in of_kind("Deployment")}


def test_a_rolling_update_waits_for_no_worker_that_would_find_no_partition() -> None:
    (worker,) = [each for each in of_kind("Deployment") if each["metadata"]["name"] == "scanner-worker"]
    (scaled,) = of_kind("ScaledObject")
    rolling = worker["spec"]["strategy"]["rollingUpdate"]
    most = scaled["spec"]["maxReplicaCount"] + rolling["maxSurge"]
    assert most <= load().topics.partitions, "/readyz says no to whoever owns nothing, and the update would never end"
    assert rolling["maxUnavailable"] > 0


def test_a_worker_starts_as_many_cells_as_it_asks_for_cores_and_as_fit_its_memory(monkeypatch) -> None:
    (worker,) = [each for each in of_kind("Deployment") if each["metadata"]["name"] == "scanner-worker"]
    (container,) = worker["spec"]["template"]["spec"]["containers"]
    for name, value in variables(container).items():
        monkeypatch.setenv(name, value)
    chosen, resources = load(), container["resources"]
    assert chosen.scan.cells == chosen.scan.score_threads == cores(resources["requests"]["cpu"]) > 0
    most_mib = (chosen.scan.cells + 1) * chosen.cell.memory_mib + chosen.worker.pending_mib  # a spare cell waits
    assert most_mib + 1024 <= mebibytes(resources["limits"]["memory"]), "and a gibibyte for the worker itself"


def test_topics_are_those_that_the_command_creates() -> None:
    told = {each["metadata"]["name"]: each["spec"] for each in of_kind("KafkaTopic", K8S / "strimzi")}
    plans = topic_plans(load())
    assert told.keys() == plans.keys()
    for name, plan in plans.items():
        config = told[name]["config"]
        assert told[name]["partitions"] == plan.partitions
        assert config["max.message.bytes"] == plan.max_record_bytes
        assert config.get("cleanup.policy", "delete") == ("compact" if plan.compacted else "delete")
        assert config.get("retention.ms") == plan.retention_ms
        assert config.get("segment.ms") == plan.segment_ms


def test_a_cluster_has_the_alerts_that_prometheus_has_elsewhere() -> None:
    (rules,) = of_kind("PrometheusRule")
    assert rules["spec"] == yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text("utf-8"))


def test_users_have_the_least_rights_of_their_role() -> None:
    kinds = {"topic": "topic", "group": "group", "transactionalId": "transactional-id"}
    settings = load()
    users = {each["metadata"]["name"]: each["spec"] for each in of_kind("KafkaUser", K8S / "strimzi")}
    assert users.keys() == {f"scanner-{role}" for role in ROLES}
    told = {
        (name, kinds[acl["resource"]["type"]], acl["resource"]["name"], acl["resource"]["patternType"], operation)
        for name, spec in users.items()
        for acl in spec["authorization"]["acls"]
        for operation in acl["operations"]
    }
    wanted = {
        (f"scanner-{each.role}", each.resource, each.name, "prefix" if each.prefixed else "literal", each.operation)
        for each in grants(topics_of(settings), settings.kafka.group)
    }
    assert told == wanted


def test_every_volume_that_is_mounted_is_named() -> None:
    mounted = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", [])]
    assert {mount.partition(":")[0] for mount in mounted if mount[0] not in "./$"} == COMPOSE["volumes"].keys()


def test_compose_confines_our_own_containers_and_opens_ports_to_this_machine_alone() -> None:
    for name, service in COMPOSE["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert ":" in service["image"], name
        if service["image"] == "scanner:local":
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name


def test_prometheus_scrapes_the_ports_that_compose_and_the_image_open() -> None:
    told = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    worker, dashboard, ingest = told
    assert f"SCANNER_WORKER__METRICS_PORT={worker['dns_sd_configs'][0]['port']}" in (DEPLOY / "Dockerfile").read_text()
    port = COMPOSE["services"]["dashboard"]["environment"]["SCANNER_DASHBOARD__METRICS_PORT"]
    command = COMPOSE["services"]["ingest"]["command"]
    assert command[command.index("--metrics-port") + 1] == str(ingest["dns_sd_configs"][0]["port"])
    assert dashboard["static_configs"] == [{"targets": [f"dashboard:{port}"]}]

"""What `deploy/` says is true: commands, settings, ports, queues, metrics, the runbook's sections."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from prometheus_client import REGISTRY

import channels.email.intake
import channels.webhooks  # noqa: F401 - counts
import gateway.telemetry  # noqa: F401 - counts
from gateway.bus.topology import Topology
from gateway.cli import cli
from gateway.settings import load_config
from gateway.settings.environment import NAMES, EnvironmentSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
BASE = DEPLOY / "kubernetes" / "base"


def documents(folder: Path) -> Iterator[dict[str, Any]]:
    """Every object of a folder's manifests."""
    for file in sorted(folder.glob("*.yaml")):
        if file.name != "kustomization.yaml":
            yield from yaml.safe_load_all(file.read_text())


WORKLOADS = {
    document["metadata"]["name"]: document["spec"]["template"]["spec"]
    for document in documents(BASE)
    if document["kind"] in {"Deployment", "StatefulSet"}
}
CONTAINERS = {
    f"{name} {container['name']}": container
    for name, spec in WORKLOADS.items()
    for container in (*spec["initContainers"], *spec["containers"])
}


def test_the_pythons_that_are_named_are_those_that_are_tested() -> None:
    root = DEPLOY.parent
    words = tomllib.loads((root / "pyproject.toml").read_text())["project"]["classifiers"]
    tested = [word.rpartition(" ")[2] for word in words if "Python :: 3." in word]
    default = re.search(r"^ARG PYTHON=(.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert default is not None
    assert default[1] in tested
    looked_for = f"for name in {' '.join(f'python{version}' for version in reversed(tested))} python3;"
    assert looked_for in (root / "Makefile").read_text()
    assert looked_for in (root / ".ci" / "run").read_text()


def settings_of(file: Path) -> dict[str, str]:
    """The lines of an env file."""
    return dict(line.split("=", 1) for line in file.read_text().splitlines())


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_calls_a_command_as_it_is(name: str) -> None:
    command, *arguments = CONTAINERS[name]["args"]
    arguments = [str(BASE / "gateway.toml") if a == "/etc/gateway/gateway.toml" else a for a in arguments]
    known = cli.get_command(click.Context(cli), command)
    assert known is not None
    known.make_context(command, arguments)  # refuses what the command does not know


def test_settings_are_known_by_name() -> None:
    named = {*settings_of(BASE / "settings.env")}
    for container in CONTAINERS.values():
        named |= {variable["name"] for variable in container.get("env", ())}
    named |= set(re.findall(r"--from-literal=(\w+)", (BASE / "kustomization.yaml").read_text()))
    assert "GATEWAY_DATABASE_URL" in named
    assert named <= NAMES.keys()


def test_the_configuration_is_read() -> None:
    assert load_config(BASE / "gateway.toml", "example.org").addresses


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_is_given_time_to_drain_and_is_looked_at_where_it_listens(name: str) -> None:
    spec = WORKLOADS[name]
    (container,) = spec["containers"]
    (_, pause) = container["lifecycle"]["preStop"]["exec"]["command"]
    drain = EnvironmentSettings.model_fields["drain_seconds"].default
    assert spec["terminationGracePeriodSeconds"] > drain + int(pause)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    listening = [argument.rpartition(":")[2] for argument in container["args"]]
    defaults = EnvironmentSettings.model_fields["smtp_port"].default
    assert {str(port) for port in ports.values()} <= {*listening, str(defaults)}


def test_scaling_counts_the_queues_that_there_are() -> None:
    queues = [queue.name for queue in Topology("gateway.", 16).queues()]
    (scaled,) = [d for d in documents(DEPLOY / "kubernetes" / "keda") if d["kind"] == "ScaledObject"]
    assert scaled["spec"]["scaleTargetRef"]["name"] in WORKLOADS
    counted = [
        [queue for queue in queues if re.search(trigger["metadata"]["queueName"], queue)]
        for trigger in scaled["spec"]["triggers"]
    ]
    assert counted == [
        [queue for queue in queues if queue.startswith(f"gateway.{kind}.")]
        for kind in ("turns", "deliveries")
    ]
    assert all(counted)


def test_policies_name_queues_that_there_are() -> None:
    patterns = {
        p["name"]: p["pattern"]
        for p in json.loads((DEPLOY / "rabbitmq/policies.json").read_text())["policies"]
    }
    assert re.search(patterns["gateway-words-expire"], "gateway.voice.host-1.say")
    for queue in (*(queue.name for queue in Topology("gateway.", 16).queues()), "gateway.voice.host-1"):
        assert re.search(patterns["gateway-leaders-spread"], queue)
        assert not re.search(patterns["gateway-words-expire"], queue)


def _expressions() -> Iterator[str]:
    for rule in _alerts():
        yield rule["expr"]
    for panel in json.loads((DEPLOY / "grafana/dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def _alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def test_alerts_and_dashboard_ask_for_what_is_counted() -> None:
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    counted = {
        metric.name + suffix for metric in REGISTRY.collect() for suffix in suffixes.get(metric.type, [""])
    }
    asked = {name for text in _expressions() for name in re.findall(r"\b(?:gateway|process)_\w+", text)}
    assert asked
    assert asked <= counted


def test_nobody_answers_only_where_somebody_is_to_be_answered() -> None:
    """Not while all that comes in waits for a person, or for the end of a pause that somebody made."""
    (alert,) = [rule for rule in _alerts() if rule["alert"] == "GatewayNobodyAnswers"]
    come_in, _, is_seen_to = alert["expr"].partition("unless")
    assert re.findall(r"gateway_\w+", come_in) == ["gateway_turns_due_total"]
    assert re.findall(r"gateway_\w+", is_seen_to) == ["gateway_turns_total", "gateway_turns_braked_total"]


def test_the_runbook_names_the_configuration_that_a_pod_has() -> None:
    called = re.findall(r"`kubectl exec ([^`]+)`", (DEPLOY / "RUNBOOK.md").read_text())
    assert called
    arguments = CONTAINERS["gateway-worker gateway"]["args"]
    config = arguments[arguments.index("--config") :][:2]
    assert all(call.split()[-2:] == config for call in called)


def test_every_alert_has_a_section_in_the_runbook() -> None:
    sections = re.findall(r"^## (Gateway\w+)$", (DEPLOY / "RUNBOOK.md").read_text(), re.M)
    assert sections == [rule["alert"] for rule in _alerts()]

"""The manifests are ones that Kubernetes takes, and fit together and the relay."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cli.projects import ONE
from tests.command import Project
from tests.deploy.test_docker import LAST, of
from tidings import Tidings
from tidings.cli.main import COMMANDS
from tidings.config.address import address_of
from tidings.health.pages import pages_of

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
FILES = sorted(path for path in FOLDER.rglob("*.yaml") if path.name != "kustomization.yaml")
README = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
SECRETS = {"DB_PASSWORD": "x", "RABBITMQ_PASSWORD": "x"}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def manifest(name: str) -> Any:
    return read(FOLDER / f"{name}.yaml")


def container(name: str) -> Any:
    (found,) = manifest(name)["spec"]["template"]["spec"]["containers"]
    return found


@pytest.fixture
def tidings() -> Any:
    with Tidings.from_file(FOLDER / "tidings.toml", environ=SECRETS) as made:
        yield made


@pytest.fixture(scope="module")
def kubernetes_validate() -> Any:
    """Give what knows Kubernetes' schemas: it takes two seconds to import."""
    return import_module("kubernetes_validate")


@pytest.mark.parametrize("name", [path.stem for path in FILES if path.parent == FOLDER])
def test_kubernetes_takes_each_manifest(name: str, kubernetes_validate: Any) -> None:
    kubernetes_validate.validate(manifest(name), "1.32", strict=True)


def test_a_manifest_with_a_word_that_is_none_is_not_taken(kubernetes_validate: Any) -> None:
    wrong = manifest("deployment")
    wrong["spec"]["replica"] = 2

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.32", strict=True)


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "monitoring"])
def test_every_file_is_part_of_it(folder: Path) -> None:
    there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}

    assert set(read(folder / "kustomization.yaml")["resources"]) == there


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "monitoring"])
def test_kustomize_builds_it(folder: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed: it has kustomize")

    built = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, check=False)

    assert (built.returncode, built.stderr) == (0, b"")
    assert b"image: tidings\n" not in built.stdout, "every image is replaced"


def test_the_probes_ask_what_the_relay_answers_at_the_port_where_it_does(tidings: Tidings) -> None:
    relay = container("deployment")
    (port,) = relay["ports"]
    (address,) = [each["value"] for each in relay["env"] if each["name"] == "TIDINGS_RELAY__HTTP"]
    probes = {
        word: relay[f"{word}Probe"]["httpGet"] for word in ("startup", "liveness", "readiness")
    }
    (scrape,) = manifest("monitoring/service-monitor")["spec"]["endpoints"]

    paths = {word: probe["path"] for word, probe in probes.items()}
    assert paths == {"startup": "/startedz", "liveness": "/livez", "readiness": "/readyz"}
    assert {*paths.values(), scrape["path"]} <= set(pages_of(tidings, tidings.worker([])))
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert address == tidings.configuration.relay.http
    assert address_of(address).port == port["containerPort"]
    assert "prometheus" in tidings.configuration.observers


def test_whatever_is_selected_is_there() -> None:
    pods = manifest("deployment")["spec"]["template"]["metadata"]["labels"]
    service = manifest("service")

    assert manifest("deployment")["spec"]["selector"]["matchLabels"] == pods
    assert manifest("disruption-budget")["spec"]["selector"]["matchLabels"] == pods
    assert service["spec"]["selector"] == pods
    monitor = manifest("monitoring/service-monitor")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [each["port"] for each in monitor["endpoints"]] == [
        each["name"] for each in service["spec"]["ports"]
    ]


def test_one_of_two_may_go_at_a_time() -> None:
    assert manifest("deployment")["spec"]["replicas"] == 2
    assert manifest("disruption-budget")["spec"]["minAvailable"] == 1


@pytest.mark.parametrize("name", ["deployment", "migrate"])
def test_a_pod_runs_as_the_images_user_and_may_nothing(name: str) -> None:
    pod = manifest(name)["spec"]["template"]["spec"]
    (user,) = of(LAST, "USER")
    security = container(name)["securityContext"]

    assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == user
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert container(name)["image"] == read(FOLDER / "kustomization.yaml")["images"][0]["name"]
    (mount,) = container(name)["volumeMounts"]
    assert f"TIDINGS_CONFIG={mount['mountPath']}/tidings.toml" in "".join(of(LAST, "ENV"))


def test_the_commands_are_the_relays() -> None:
    assert container("deployment")["args"][0] in COMMANDS
    _shell, _option, script = container("migrate")["command"]
    assert set(re.findall(r"tidings ([a-z]+)", script)) <= set(COMMANDS)


def test_the_job_makes_tables_where_there_are_none_and_leaves_those_that_are_there(
    tmp_path: Path,
) -> None:
    project = Project(tmp_path)
    project.configure(ONE)
    script = container("migrate")["command"][2]
    assert script == "tidings migrate || tidings init --tables"

    assert project.run("migrate").code == 1
    project.succeed("init", "--tables")
    project.append_numbers(1, 1)

    project.succeed("migrate")
    assert project.status("orders")["events_behind"] == 1


def test_the_page_makes_the_secret_that_the_configuration_wants() -> None:
    text = (FOLDER / "tidings.toml").read_text()

    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(SECRETS)
    assert set(re.findall(r"--from-literal=(\w+)=", README)) == set(SECRETS)
    assert container("deployment")["envFrom"] == [{"secretRef": {"name": "tidings"}}]
    assert "create secret generic tidings " in README

"""The Kustomize folders of `docs/schedule/kubernetes/`: they list what is there, and make what Kubernetes takes."""

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.schedule.files import (
    FOLDER,
    KUSTOMIZATIONS,
    MANIFESTS,
    WATCH_CONTAINER,
    WATCHES,
    container,
    document,
    parsed,
    text,
    variables,
)

KUBERNETES = FOLDER / "kubernetes"
WORKLOADS = {Path(name).parent.name: name for name in (*MANIFESTS, *WATCHES) if "kubernetes" in name}
LABEL = {"app.kubernetes.io/name": "jitsu-backup"}
INPUTS = ("jitsu-backup.toml", "environment")
"""What the operator copies into `production`."""


def kustomization(name: str) -> dict[str, Any]:
    found: dict[str, Any] = document(f"kubernetes/{name}/kustomization.yaml")
    return found


def test_there_is_one_folder_for_each_workload_and_an_example_that_builds_on_one_of_them() -> None:
    assert {path.name for path in KUBERNETES.iterdir()} == {*KUSTOMIZATIONS, "production"}
    assert WORKLOADS.keys() == set(KUSTOMIZATIONS)


@pytest.mark.parametrize("name", [*KUSTOMIZATIONS, "production"])
def test_a_kustomization_lists_every_file_beside_it_and_nothing_that_does_not_exist(name: str) -> None:
    given, folder = kustomization(name), KUBERNETES / name
    assert (given["apiVersion"], given["kind"]) == ("kustomize.config.k8s.io/v1beta1", "Kustomization")
    known = {
        "apiVersion", "kind", "namespace", "resources", "labels", "images", "configMapGenerator", "secretGenerator",
    }  # fmt: skip
    assert given.keys() <= known
    assert {path.name for path in folder.iterdir()} == {
        "kustomization.yaml",
        *(resource for resource in given["resources"] if not resource.startswith("../")),
    }
    assert all((folder / resource).exists() for resource in given["resources"])


@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_a_workload_alone_is_labelled_and_names_no_namespace(name: str) -> None:
    assert kustomization(name)["labels"] == [{"pairs": LABEL, "includeTemplates": True}]
    assert "namespace" not in document(WORKLOADS[name])["metadata"]


def test_no_two_workloads_have_one_name() -> None:
    assert len({document(name)["metadata"]["name"] for name in WORKLOADS.values()}) == len(WORKLOADS)


def test_the_selector_of_the_watch_finds_its_pod_and_no_label_of_kustomize_changes_it() -> None:
    spec = document(WORKLOADS["watch"])["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    assert "includeSelectors" not in kustomization("watch")["labels"][0]


def test_the_example_has_the_names_that_the_workloads_ask_for() -> None:
    given = kustomization("production")
    (settings,), (secrets,) = given["configMapGenerator"], given["secretGenerator"]
    assert settings["files"] + secrets["envs"] == list(INPUTS)
    assert {resource for resource in given["resources"] if resource.startswith("../")} < {
        f"../{name}" for name in KUSTOMIZATIONS
    }
    (image,) = given["images"]
    for one in (*map(container, MANIFESTS), WATCH_CONTAINER):
        assert one["envFrom"] == [{"secretRef": {"name": secrets["name"]}}]
        assert one["image"].rpartition(":")[0] == image["name"]
        assert one["image"].rpartition(":")[2] == image["newTag"] != "latest"
    assert settings["name"] == "jitsu-backup"  # the volumes of the pods are compared with it elsewhere
    assert document("kubernetes/production/namespace.yaml")["metadata"]["name"] == given["namespace"]


def test_the_folder_to_copy_them_into_holds_no_settings_and_no_secrets() -> None:
    assert not [name for name in INPUTS if (KUBERNETES / "production" / name).exists()]
    assert all(name in text("kubernetes/production/kustomization.yaml").partition("\n")[0] for name in INPUTS)


# what Kustomize makes of them


def build() -> list[str]:
    """Return the command of whichever Kustomize is installed."""
    return ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]


def pod_templates(value: Any) -> Iterator[dict[str, Any]]:
    """Yield what is a template of pods, at any depth."""
    if isinstance(value, dict):
        if "containers" in value.get("spec", {}):
            yield value
        for part in value.values():
            yield from pod_templates(part)


@pytest.mark.skipif(shutil.which(build()[0]) is None, reason="neither kustomize nor kubectl is installed")
@pytest.mark.parametrize("name", KUSTOMIZATIONS)
def test_kustomize_builds_the_example_on_each_workload_and_kubernetes_takes_all_of_it(
    name: str, tmp_path: Path
) -> None:
    shutil.copytree(KUBERNETES, tmp_path, dirs_exist_ok=True)
    production = tmp_path / "production"
    for copied in INPUTS:
        shutil.copy(FOLDER / copied, production)
    chosen = production / "kustomization.yaml"
    content = chosen.read_text(encoding="utf-8")
    assert content.count("  - ../cron\n") == 1
    chosen.write_text(content.replace("  - ../cron\n", f"  - ../{name}\n"), encoding="utf-8")
    done = subprocess.run([*build(), production], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    made = {one["kind"]: one for one in yaml.safe_load_all(done.stdout)}
    kind = document(WORKLOADS[name])["kind"]
    assert made.keys() == {"Namespace", "ConfigMap", "Secret", kind}
    for one in made.values():
        kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "jitsu-backup"

    assert made["ConfigMap"]["data"] == {"jitsu-backup.toml": text("jitsu-backup.toml")}
    secrets = {key: base64.b64decode(value).decode() for key, value in made["Secret"]["data"].items()}
    assert secrets == variables(text("environment"))

    (template,) = pod_templates(made[kind])
    assert LABEL.items() <= template["metadata"]["labels"].items()
    (one,) = template["spec"]["containers"]
    assert one["envFrom"] == [{"secretRef": {"name": made["Secret"]["metadata"]["name"]}}]
    assert template["spec"]["volumes"][0]["configMap"] == {"name": made["ConfigMap"]["metadata"]["name"]}
    assert re.fullmatch(r"registry\.example\.com/your-team/jitsu-backup:\d+", one["image"])
    assert parsed(one["args"]).info_name == ("watch" if name == "watch" else "backup")

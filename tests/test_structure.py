"""What the tree promises its readers: imports point one way, files are short, documents true."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
# A package may import those of earlier lines, and itself; others of its own line only as named below.
LAYERS = (
    {"core"},
    {"formats", "query", "storage"},
    {"alerts", "listeners"},
    {"actors"},
    {"deployments"},
    {"cli"},
)
# The planner restores stored logs to what was sent.
ALSO = {("query", "formats"), ("storage", "formats")}
PACKAGES = [name for layer in LAYERS for name in sorted(layer)]
LINES_MAX = 400
VAGUE = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc", "tools", "lib"}


def python_files(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imported_packages(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found & set(PACKAGES)


def layer_of(package: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if package in layer)


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    for file in python_files(package):
        for other in imported_packages(file) - {package}:
            below = layer_of(other) < layer_of(package)
            assert below or (package, other) in ALSO, f"{file.relative_to(ROOT)} imports {other}"


def test_only_tests_and_benchmarks_import_benchmarks() -> None:
    for file in python_files(*PACKAGES):
        assert not re.search(r"^\s*(?:from|import) (?:benchmarks|tests)\b", file.read_text(), re.MULTILINE), (
            file
        )


def test_files_are_short_enough_to_hold_one_idea() -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for file in python_files(*PACKAGES, "benchmarks", "tests")
        if (lines := file.read_text().count("\n")) > LINES_MAX
    }
    assert not long


def test_names_say_what_is_inside() -> None:
    assert not [file for file in python_files(*PACKAGES) if file.stem in VAGUE or file.parent.name in VAGUE]


def test_every_module_says_its_job() -> None:
    for file in python_files(*PACKAGES, "benchmarks", "tests"):
        text = file.read_text()
        assert not text.strip() or ast.get_docstring(ast.parse(text)), (
            f"{file.relative_to(ROOT)} has no docstring"
        )


def test_every_actor_is_in_the_picture() -> None:
    picture = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
    for file in python_files("actors"):
        if "actor_options(" in file.read_text() and file.stem != "placement":
            assert f"actors/{file.name}" in picture, f"docs/ARCHITECTURE.md does not name {file.name}"


def test_the_environment_is_read_in_one_place() -> None:
    allowed = {
        "core/settings.py",
        "deployments/haproxy/amended_haproxy.py",
        "cli/environment.py",
        "cli/up.py",
    }
    for file in python_files(*PACKAGES):
        name = str(file.relative_to(ROOT))
        assert name in allowed or "os.environ" not in file.read_text(), f"{name} reads the environment"


def test_cluster_yaml_is_valid_for_ray() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(yaml.safe_load((ROOT / "cluster.yaml").read_text())))


def test_links_in_the_documentation_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_no_file_ends_in_a_conflict() -> None:
    marks = subprocess.run(
        ["git", "grep", "-lE", "^(<{7}|>{7}) "], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert marks.stdout == ""

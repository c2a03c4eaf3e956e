"""Whatever a project's files are called, the archive holds each as it is, or one clear error names the file."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_manager import config as configuration
from etl_manager.bastion.workspace import build
from etl_manager.errors import ConfigError

ROOT = Path(__file__).parents[3]
bounded = settings(
    deadline=None, derandomize=True, max_examples=40, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
parts = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
) | st.sampled_from(["a" * 101, "a" * 180, "é" * 120, "a\nb", "a\\b", "-rf", "a  ./b", "\udcff", "x.sh", " "])
names = st.lists(parts.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=3)


@pytest.fixture
def project(tmp_path: Path) -> configuration.Config:
    """A project whose transfer takes a further folder along."""
    shutil.copytree(ROOT / "sql", tmp_path / "sql")
    (tmp_path / "extra").mkdir()
    (tmp_path / "config.json").write_text(json.dumps({"bastion": {"autoTransfer": {"directories": ["extra"]}}}))
    return configuration.load(tmp_path / "config.json", tmp_path)


@bounded
@given(names, st.binary(max_size=20))
def test_any_name_of_a_file(project, name, content):
    """What goes out is what is there."""
    shutil.rmtree(project.root / "extra")
    file = project.root.joinpath("extra", *name)
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    try:
        archive = build(project)
    except ConfigError as error:
        assert "extra" in str(error)  # noqa: PT017 - either end is right
        return
    with tarfile.open(fileobj=io.BytesIO(archive.tar)) as tar:
        member = tar.extractfile(str(file.relative_to(project.root)))
        assert member is not None
        assert member.read() == content
    assert "\n" not in "".join(archive.names)

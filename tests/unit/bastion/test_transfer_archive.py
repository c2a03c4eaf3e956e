"""The archive: the same project gives the same bytes, and nothing else gets in."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import signal
import stat
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from etl_manager.bastion.workspace import Archive
from etl_manager.errors import ConfigError


def members(archive: Archive) -> dict[str, tarfile.TarInfo]:
    """Return what is in *archive*, by name."""
    with tarfile.open(fileobj=io.BytesIO(archive.tar)) as tar:
        return {member.name: member for member in tar.getmembers()}


def content(archive: Archive, name: str) -> bytes:
    """Return the file *name* of *archive*."""
    with tarfile.open(fileobj=io.BytesIO(archive.tar)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_same_files_give_the_same_bytes(project):
    """Neither times nor owners nor modes nor the order on disk show in the archive."""
    first = project.archive()
    for path in project.root.rglob("*.sql"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    text = (project.root / "sql/aurora/data/data.sql").read_text()
    (project.root / "sql/aurora/data/data.sql").unlink()
    project.write("sql/aurora/data/data.sql", text)
    assert project.archive() == first


def test_digest_is_that_of_the_tar_inside(project):
    """The digest does not hang on how well zlib compressed."""
    best = project.archive()
    project.transfer = {"compressionLevel": 1}
    fast = project.archive()
    for archive in (best, fast):
        assert archive.digest == hashlib.sha256(gzip.decompress(archive.packed())).hexdigest()
        assert archive.digest == hashlib.sha256(lzma.decompress(archive.packed("xz"))).hexdigest()
    assert len(best.packed()) <= len(fast.packed())


def test_every_change_of_content_or_name_changes_the_digest(project):
    """A byte more, another name, and one file less are each another archive."""
    digests = {project.archive().digest}
    path = project.write("sql/aurora/data/data.sql", "-- data\n\n")
    digests.add(project.archive().digest)
    path.rename(path.with_name("rows.sql"))
    digests.add(project.archive().digest)
    project.write("sql/shared/more.sql", "")
    digests.add(project.archive().digest)
    assert len(digests) == 4


def test_scripts_can_be_executed_and_nothing_else(project):
    """Modes and owners are set, whatever the developer's umask made of them."""
    project.write("sql/note.txt", "", 0o777)
    found = members(project.archive())
    assert {name for name, member in found.items() if member.mode == 0o755} == {"scripts/2-sql-execute.sh"}
    assert {member.mode for name, member in found.items() if not name.endswith(".sh")} == {0o644}
    assert {(member.uid, member.gid, member.mtime) for member in found.values()} == {(0, 0, 0)}


def test_the_configuration_in_use_travels_under_its_usual_name(project):
    """Whatever --config-json named arrives as config.json, with its defaults filled in."""
    config = project.configured()
    assert content(project.archive(), "config.json") == config.resolved()


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("*.log", {"sql/run.log", "sql/deep/er/old.log"}),
        ("__pycache__/", {"scripts/__pycache__/x.pyc"}),
        ("sql/deep/", {"sql/deep/er/old.log", "sql/deep/keep.sql"}),
        ("sql/deep/keep.sql", {"sql/deep/keep.sql"}),
        ("keep.*", {"sql/deep/keep.sql"}),
        ("nothing", set()),
    ],
)
def test_excluded_patterns_leave_out_just_what_they_name(project, pattern, gone):
    """A pattern names files anywhere, a folder by its slash, or a path from the project's root."""
    for name in ("sql/run.log", "sql/deep/er/old.log", "scripts/__pycache__/x.pyc", "sql/deep/keep.sql", "sql/log.sql"):
        project.write(name, "x")
    everything = set(project.archive().names)
    project.transfer = {"excludePatterns": [pattern]}
    assert everything - set(project.archive().names) == gone


@pytest.mark.parametrize(
    ("transfer", "told"),
    [
        ({"directories": ["sql", "scripts", "none"]}, r"bastion\.autoTransfer\.directories\[2\]: no such folder: none"),
        ({"files": ["config.json", "none.txt"]}, r"bastion\.autoTransfer\.files\[1\]: no such file: none\.txt"),
    ],
)
def test_what_is_not_there_is_told_with_its_place_in_the_configuration(project, transfer: dict[str, Any], told):
    """A folder or file that is named and missing is an error, and not an archive without it."""
    project.transfer = transfer
    with pytest.raises(ConfigError, match=told):
        project.archive()


NEEDED = {
    "config.json",
    "scripts/2-sql-execute.sh",
    "sql/shared/shared.sql",
    "sql/aurora/inspection/look.sql",
    "sql/aurora/tenant/changes/0001-x.sql",
    "sql/aurora/tenant/data/x.sql",
    *(f"sql/aurora/{phase}/{phase}.sql" for phase in ("database", "schema", "data", "verification")),
}


@pytest.mark.parametrize(
    ("transfer", "further"),
    [
        ({"directories": [], "files": []}, set()),
        ({"directories": ["sql/aurora/data"], "files": ["config.json"]}, {"sql/aurora/data/note.txt"}),
        ({"directories": ["sql"], "excludePatterns": ["*.sh", "shared/", "look.sql"]}, {"sql/aurora/data/note.txt"}),
    ],
)
def test_what_the_engine_needs_travels_whatever_is_listed(project, transfer: dict[str, Any], further):
    """Engine, shared SQL, the look, template and phases' files are there; lists add to them, and no pattern takes them."""
    for name in (*(NEEDED - {"config.json", "scripts/2-sql-execute.sh"}), "sql/aurora/data/note.txt", "scripts/x.sh"):
        project.write(name, "x")
    project.transfer = transfer
    assert set(project.archive().names) == NEEDED | further


@pytest.mark.parametrize("name", ["changes/0001-x.sql", "data/x.sql"])
def test_no_pattern_takes_a_file_of_the_template(project, name):
    """Such a pattern is a contradiction, told with its place; of bastion.phase2 as well."""
    project.write(f"sql/aurora/tenant/{name}", "x")
    project.transfer = {"excludePatterns": ["*.log", "tenant/"]}
    with pytest.raises(
        ConfigError, match=rf"excludePatterns\[1\]: 'tenant/' takes sql/aurora/tenant/{name}, a file of"
    ):
        project.archive()


def test_lists_that_overlap_name_a_file_once(project):
    """The same folder twice, one inside the other, and other spellings of a path give the same bytes."""
    once = project.archive()
    project.transfer = {
        "directories": ["sql", "sql/aurora", "./sql", "sql/", "sql//aurora/data", "scripts"],
        "files": ["./config.json", "config.json", "sql/aurora/data/data.sql"],
    }
    again = project.archive()
    assert again.names == once.names
    assert len(set(again.names)) == len(again.names)


def test_checkouts_keep_the_line_ends_of_unix():
    """Whatever core.autocrlf says, git checks out scripts, SQL, features and the Makefile with them."""
    names = ["2-etl-manager.sh", "scripts/2-sql-execute.sh", "sql/a/b.sql", "features/x.feature", "Makefile"]
    root = Path(__file__).parents[3]
    done = subprocess.run(
        ["git", "-C", root, "check-attr", "eol", "--", *names], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip("this is no checkout of git's")
    assert done.stdout.splitlines() == [f"{name}: eol: lf" for name in names]


def test_scripts_with_the_line_ends_of_windows_are_refused(project):
    """A checkout that git converted is told before anything is sent; SQL is psql's to read, and it reads both."""
    project.write("sql/aurora/data/data.sql", b"SELECT 1;\r\n")
    assert "sql/aurora/data/data.sql" in project.archive().names
    project.engine("true\r")
    assert project.archive()  # a carriage return that is part of a command
    project.write("scripts/2-sql-execute.sh", b"#!/bin/bash\r\ntrue\r\n")
    with pytest.raises(ConfigError, match=r"scripts/2-sql-execute\.sh has Windows line ends") as told:
        project.archive()
    assert "git config core.autocrlf input" in str(told.value)


def test_a_project_without_the_engine_is_told(project):
    """What every run needs is missed before anything is sent."""
    (project.root / "scripts/2-sql-execute.sh").unlink()
    with pytest.raises(ConfigError, match=r"cannot read scripts/2-sql-execute\.sh: No such file"):
        project.archive()


def test_a_link_that_leads_out_of_the_project_is_refused(project, tmp_path):
    """What lies outside is not sent to the bastion by way of a link."""
    (tmp_path / "secret").write_text("not yours")
    (project.root / "sql/link.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(ConfigError, match=r"sql/link\.txt leads out of the project"):
        project.archive()


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK])
def test_file_that_is_none_is_an_error(project, kind):
    """Reading it would have no end."""

    def end(*_: Any) -> None:
        raise TimeoutError("the FIFO is read")

    path = project.root / "scripts/2-sql-execute.sh"
    path.unlink()
    os.mknod(path, kind | 0o644)
    signal.signal(signal.SIGALRM, end)
    signal.alarm(20)
    try:
        with pytest.raises(ConfigError, match=r"scripts/2-sql-execute\.sh is no file"):
            project.archive()
    finally:
        signal.alarm(0)


def test_a_further_file_travels_under_its_own_name(project):
    """What bastion.autoTransfer.files names is there beside the folders."""
    project.write("docs/note.md", "# note\n")
    project.transfer = {"files": ["config.json", "docs/note.md"]}
    assert content(project.archive(), "docs/note.md") == b"# note\n"

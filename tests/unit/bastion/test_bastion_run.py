"""A run on the bastion: batches of SQL files, a workspace that is never half there, and nothing left behind."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from etl_manager.bastion.workspace import Archive, ArchiveChunks
from etl_manager.errors import WorkspaceError
from etl_manager.provisioning.sql_runner import SqlRunner
from tests.unit.bastion.conftest import Host

LARGE = "sql/shared/large.bin"
DATA, SCHEMA = "sql/aurora/data/data.sql", "sql/aurora/schema/schema.sql"


def runs(host) -> list[Path]:
    """Return the folders of runs that are on the bastion."""
    return list(host.tmp.glob("etl-manager-run-*"))


def test_batch_runs_its_files_in_order_and_tells_each_apart(host, project, connection):
    """Every file has an exit status, its own output and its own log."""
    project.engine('echo "ran $2 by $1"; echo "log of $2" >&2')
    run = host.run(project.archive())
    result, steps = run.run_sql([SCHEMA, DATA], connection, "two files")
    run.close()
    assert result.status == "Success"
    assert [(step.file, step.exit_code, step.stdout, step.stderr) for step in steps] == [
        (SCHEMA, 0, f"ran {SCHEMA} by config.json\n", f"log of {SCHEMA}\n"),
        (DATA, 0, f"ran {DATA} by config.json\n", f"log of {DATA}\n"),
    ]


@pytest.mark.parametrize("status", [1, 2, 3, 64])
def test_first_failure_ends_the_batch(host, project, connection, status):
    """What comes after a file that failed is not run, and the failed one's status is told."""
    project.engine(f'echo "ran $2"; [[ $2 != *schema* ]] || exit {status}')
    run = host.run(project.archive())
    _, steps = run.run_sql([SCHEMA, DATA], connection, "fails")
    run.close()
    assert [(step.file, step.exit_code) for step in steps] == [(SCHEMA, status)]


def test_archive_that_fits_rides_along_with_the_first_batch(host, project, connection, sent):
    """Opening and the first batch are two commands; the second batch does not transfer again."""
    run = host.run(project.archive())
    run.run_sql([SCHEMA], connection, "first")
    run.run_sql([DATA], connection, "second", closing=True)
    run.close()
    assert ["receive 1 <<" in script for script in sent()] == [False, True, False]
    assert runs(host) == []


def test_next_run_transfers_nothing_while_the_workspace_is_intact(host, project, connection, sent):
    """The bastion says what it has; only a workspace that is this archive, unchanged, is used as it is."""
    archive = project.archive()
    host.run(archive).run_sql([DATA], connection, "first", closing=True)
    host.run(archive).run_sql([DATA], connection, "again", closing=True)
    assert sum("receive 1 <<" in script for script in sent()) == 1
    (host.workspace / DATA).write_text("-- tampered with\n")
    host.run(archive).run_sql([DATA], connection, "after tampering", closing=True)
    assert sum("receive 1 <<" in script for script in sent()) == 2
    assert (host.workspace / DATA).read_text() == "-- data\n"


@pytest.mark.parametrize("newer", [False, True], ids=["same project", "newer project"])
def test_edits_on_the_bastion_that_a_transfer_replaces_are_named(host, project, connection, newer):
    """Changed, deleted or added there: the files are named, whether or not the project itself changed meanwhile."""
    host.run(project.archive()).run_sql([DATA], connection, "first", closing=True)
    assert host.told == []
    (host.workspace / DATA).write_text("-- a quick fix\n")
    (host.workspace / SCHEMA).unlink()
    (host.workspace / "sql/new: FAILED\x1b[31m.sql").write_text("")
    if newer:
        project.write(DATA, "-- newer\n")
    host.run(project.archive()).run_sql([DATA], connection, "second", closing=True)
    replaced = f"{DATA}, {SCHEMA}, sql/new: FAILED?[31m.sql"
    assert host.told == [
        f"[WARNING] Edited by hand in /tmp/workspace on the bastion, and replaced by this project's files: {replaced}"
    ]
    host.run(project.archive()).run_sql([DATA], connection, "third", closing=True)
    assert len(host.told) == 1


def test_workspace_can_be_read_by_a_person_and_scripts_be_run(host, project, connection):
    """Modes are those of the archive, whatever the umask of the agent: another user may read and execute."""
    host.run(project.archive()).run_sql([DATA], connection, "modes", closing=True)
    modes = {
        name: (host.workspace / name).stat().st_mode & 0o777 for name in ("", "sql", DATA, "scripts/2-sql-execute.sh")
    }
    assert modes == {"": 0o755, "sql": 0o755, DATA: 0o644, "scripts/2-sql-execute.sh": 0o755}


def large(project, kilobytes: int = 40) -> Archive:
    """Return an archive of about *kilobytes*, of what does not compress."""
    project.write(LARGE, os.urandom(kilobytes * 1024))
    return project.archive()


def test_large_archive_goes_in_parts_each_within_the_limit(host, project, connection, sent):
    """No command is longer than max_command_bytes, and what arrives is what was sent."""
    archive = large(project)
    run = host.run(archive, most=10_000)
    run.run_sql([DATA], connection, "large", closing=True)
    scripts = sent()
    assert len(received(scripts)) > 6
    assert max(len(script.encode()) for script in scripts) <= 10_000
    assert (host.workspace / LARGE).read_bytes() == (project.root / LARGE).read_bytes()
    assert not list(host.tmp.glob("workspace.*"))


def received(scripts: list[str]) -> dict[int, bytes]:
    """Return the parts that *scripts* carry, by number."""
    found = [part for script in scripts for part in re.findall(r"^receive (\d+) <<'PART'.*\n(.*)\n", script, re.M)]
    return {int(number): base64.b64decode(text) for number, text in found}


def test_transfer_is_resumed_where_it_broke_off(host, project, connection, sent):
    """Parts an earlier run left are not sent again; a damaged one is."""
    archive = large(project)
    host.run(archive, most=10_000).run_sql([DATA], connection, "whole", closing=True)
    first = sent()
    pieces = received(first)
    last = max(pieces)
    shutil.rmtree(host.workspace)
    folder = host.tmp / f"workspace.parts-{archive.digest}"
    folder.mkdir(mode=0o700)
    for number in range(1, last - 1):
        (folder / str(number)).write_bytes(pieces[number])
    (folder / "2").write_bytes(b"damaged")
    host.run(archive, most=10_000).run_sql([DATA], connection, "resumed", closing=True)
    assert list(received(sent()[len(first) :])) == [2, last - 1, last]
    assert (host.workspace / LARGE).read_bytes() == (project.root / LARGE).read_bytes()


def test_workspace_is_whole_at_every_moment(host, project, connection):
    """Whoever enters the workspace while it is replaced finds the old one or the new one, never a mixture."""
    project.write("sql/shared/first.txt", "old")
    project.write("sql/shared/last.txt", "old")
    host.run(project.archive()).run_sql([DATA], connection, "old", closing=True)
    mixtures, seen, ended = [], set(), threading.Event()

    def look() -> None:
        while not ended.is_set():
            try:
                workspace = os.open(host.workspace, os.O_RDONLY)
            except FileNotFoundError:
                continue  # between the two renames
            try:
                texts = []
                for name in ("first.txt", "last.txt"):
                    file = os.open(f"sql/shared/{name}", os.O_RDONLY, dir_fd=workspace)
                    texts.append(os.read(file, 100))
                    os.close(file)
            except FileNotFoundError:
                continue  # the old one is being removed, after the new one is in place
            finally:
                os.close(workspace)
            seen.add(texts[0])
            if texts[0] != texts[1]:
                mixtures.append(texts)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for version in ("new", "newer", "newest"):
            project.write("sql/shared/first.txt", version)
            project.write("sql/shared/last.txt", version)
            host.run(project.archive()).run_sql([DATA], connection, version, closing=True)
    finally:
        ended.set()
        thread.join()
    assert mixtures == []
    assert len(seen) > 1


def test_transfer_that_fails_leaves_the_old_workspace(host, project, connection):
    """What arrives whole and cannot be unpacked is told, and the workspace is as it was."""
    host.run(project.archive()).run_sql([DATA], connection, "good", closing=True)
    bad = Archive(digest="0" * 64, tar=b"this is no tar" * 100, level=9, names=(), manifest="")
    run = host.run(bad)
    with pytest.raises(WorkspaceError, match="could not be unpacked") as refused:
        run.run_sql([DATA], connection, "bad")
    run.close()
    assert "The workspace that was there is unchanged" in str(refused.value)
    assert (host.workspace / DATA).read_text() == "-- data\n"
    assert (host.workspace / ".transfer/digest").read_text().strip() == project.archive().digest


@pytest.mark.parametrize("xz", [True, False])
def test_archive_is_packed_by_xz_where_both_sides_have_it(host, project, connection, sent, monkeypatch, xz):  # noqa: PLR0917
    """Some Pythons are built without liblzma: gzip does as well."""
    if not xz:
        monkeypatch.setattr("etl_manager.ssm.script.lzma", None)
    host.run(project.archive()).run_sql([DATA], connection, "packed", closing=True)
    assert received(sent())[1].startswith(b"\xfd7zXZ\0" if xz else b"\x1f\x8b")
    assert (host.workspace / DATA).read_text() == "-- data\n"


def test_folder_that_was_not_made_by_a_run_is_refused(host, project, connection):
    """Whatever a configuration names as workspace, such as /etc/cron.d: a folder with files of its own is left alone."""
    host.workspace.mkdir()
    (host.workspace / "notes.txt").write_text("mine")
    before = host.workspace.stat()
    with pytest.raises(WorkspaceError, match="holds files that no run put there; it is left alone") as refused:
        host.run(project.archive()).run_sql([DATA], connection, "refused", closing=True)
    assert "bastion.workingDirectory" in refused.value.hint
    assert (host.workspace.stat().st_ino, [path.name for path in host.workspace.iterdir()]) == (
        before.st_ino,
        ["notes.txt"],
    )
    assert [path.name for path in host.tmp.glob("workspace*")] == ["workspace"]


def test_empty_folder_is_taken(host, project, connection):
    """A folder that somebody made for the workspace holds nothing that could be lost."""
    host.workspace.mkdir()
    host.run(project.archive()).run_sql([DATA], connection, "taken", closing=True)
    assert (host.workspace / DATA).is_file()


def test_run_folder_and_key_are_the_runs_own_and_go_with_it(host, project, connection):
    """While the run lasts nobody else may enter its folder; after it there is none."""
    run = host.run(project.archive())
    run.run_sql([DATA], connection, "open")
    [folder] = runs(host)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
    run.close()
    assert runs(host) == []


def test_close_is_sent_once_and_only_where_something_was_opened(host, project, connection, sent):
    """A run that never reached the bastion sends nothing; one that was closed sends nothing more."""
    run = host.run(project.archive())
    run.close()
    assert sent() == []
    run.open()
    run.close()
    run.close()
    assert len(sent()) == 2


def test_run_can_go_on_after_it_was_closed(host, project, connection):
    """A batch after the closing one opens the run anew, with a key of its own."""
    run = host.run(project.archive())
    run.run_sql([SCHEMA], connection, "closing", closing=True)
    _, steps = run.run_sql([DATA], connection, "one more", closing=True)
    assert [step.exit_code for step in steps] == [0]
    assert runs(host) == []


def test_what_a_killed_run_left_goes_after_a_day(host, project):
    """Opening removes run folders, parts and half-made workspaces older than a day, and no younger ones."""
    old = [host.tmp / name for name in ("etl-manager-run-dead", "workspace.parts-dead", "workspace.new-ddeadd")]
    young = [host.tmp / name for name in ("etl-manager-run-alive", "workspace.parts-alive", "workspace.new-aalive")]
    other = host.tmp / "somebody-elses"
    for folder in (*old, *young, other):
        folder.mkdir()
        (folder / "file").write_text("x")
        (folder / ".etl-manager").touch()
    long_ago = time.time() - 2 * 86_400
    for folder in (*old, other):
        os.utime(folder, (long_ago, long_ago))
    run = host.run(project.archive())
    run.open()
    run.close()
    assert [folder.exists() for folder in (*old, *young, other)] == [False] * 3 + [True] * 4


def test_link_in_the_workspaces_place_is_left_alone(host, project, connection, tmp_path):
    """A link is refused with what to do; what it leads to is not touched."""
    host.workspace.symlink_to(tmp_path)
    run = host.run(project.archive())
    with pytest.raises(WorkspaceError, match="is a symbolic link; it is left alone"):
        run.run_sql([DATA], connection, "link")
    run.close()
    assert host.workspace.is_symlink()
    assert [path.name for path in tmp_path.iterdir()] == ["project"]


def test_skip_copy_without_workspace_is_refused_in_the_known_words(host, project):
    """The two warnings its users know, in their order."""
    run = host.run(project.archive(), skip_copy=True)
    with pytest.raises(WorkspaceError) as refused:
        run.open()
    run.close()
    assert str(refused.value).splitlines()[:2] == [
        "[WARNING] Workspace directory /tmp/workspace does not exist on Bastion Host",
        "[WARNING] You may need to run without --skip-copy first to transfer files",
    ]


def test_bastion_without_psql_is_told_how_to_get_it(host, project):
    """What is missing is named, with the line that installs it on Amazon Linux."""
    psql = host.root / "usr/bin/psql"
    program = psql.readlink()
    psql.unlink()
    psql.write_text("#!/bin/sh\nexit 127\n")
    psql.chmod(0o755)
    run = host.run(project.archive())
    try:
        with pytest.raises(WorkspaceError, match="The bastion lacks psql") as refused:
            run.open()
        run.close()
    finally:
        psql.unlink()
        psql.symlink_to(program)
    assert "sudo dnf install -y postgresql16" in str(refused.value)


@contextmanager
def programs_of(host: Host, **programs: str) -> Iterator[None]:
    """Give the bastion *programs*, first in its PATH; `"$REAL"` in one is what it had before."""
    before = {}
    for name, text in programs.items():
        link = host.root / "usr/bin" / name
        before[link] = link.readlink() if link.is_symlink() else None
        real = before[link] or shutil.which(name)
        link.unlink(missing_ok=True)
        link.write_text(f"#!/bin/bash\nREAL={real}\n{text}\n")
        link.chmod(0o755)
    try:
        yield
    finally:
        for link, program in before.items():
            link.unlink()
            if program:
                link.symlink_to(program)


OLD_PSQL = "echo 'psql (PostgreSQL) 9.2.24'"
OLD_OPENSSL = """[[ $1 != version ]] || { echo 'OpenSSL 1.0.2k-fips  26 Jan 2017'; exit; }\nexec "$REAL" "$@\""""


@pytest.mark.parametrize(
    ("programs", "told"),
    [
        (
            {"psql": OLD_PSQL},
            ("psql 11 or newer (it has psql (PostgreSQL) 9.2.24)", "amazon-linux-extras install -y postgresql14"),
        ),
        ({"psql": OLD_PSQL.replace("9.2.24", "10.23")}, ("psql 11 or newer (it has psql (PostgreSQL) 10.23)",)),
        (
            {"openssl": OLD_OPENSSL},
            ("openssl (1.1.1 or newer) (it has OpenSSL 1.0.2k-fips  26 Jan 2017)", "yum install -y openssl11"),
        ),
        ({"psql": OLD_PSQL, "openssl": OLD_OPENSSL}, ("psql 11 or newer", "openssl (1.1.1 or newer)")),
    ],
)
def test_programs_that_are_too_old_are_told_before_anything_is_run(host, project, programs, told):
    """Amazon Linux 2's own psql and openssl: what there is, what is needed, and the line that installs it."""
    run = host.run(project.archive())
    with programs_of(host, **programs), pytest.raises(WorkspaceError, match="The bastion lacks") as refused:
        run.open()
    run.close()
    for text in told:
        assert text in str(refused.value)


def test_newer_openssl_of_amazon_linux_2_is_used(host, project, connection):
    """openssl11 is what its package installs, beside the old one: the run and the engine use it."""
    project.engine("openssl version")
    newer = 'echo used >>"$RUNTIME/newer"; exec "$REAL" "$@"'.replace("$REAL", shutil.which("openssl") or "")
    with programs_of(host, openssl=OLD_OPENSSL, openssl11=newer):
        run = host.run(project.archive())
        assert "1.0.2k" not in run.open().openssl
        _, [step] = run.run_sql(["sql/aurora/data/data.sql"], connection, "data")
        run.close()
    assert step.exit_code == 0
    assert step.stdout.startswith("OpenSSL ")
    assert "1.0.2k" not in step.stdout


def test_warnings_of_the_engine_reach_the_terminal(host, project, connection):
    """What the engine has to say to its users, as of a cluster that was paused, does not stay in the log."""
    project.engine('echo "[WARNING] the database answered after 21 s only" >&2; echo "[INFO] done" >&2')
    said: list[str] = []
    run = host.run(project.archive())
    progress = SimpleNamespace(say=said.append, status=lambda _: None)
    SqlRunner(project.configured(), run, connection, progress, lambda *_: None).run(
        "data", ["sql/aurora/data/data.sql"], "postgres", closing=True
    )
    assert said == ["[WARNING] the database answered after 21 s only (data)"]


def test_parts_are_cut_to_fit_and_only_missing_ones_are_named():
    """Each piece as base64 has room; a part with another digest counts as missing."""
    archive = Archive(digest="d", tar=random.Random(1).randbytes(2_500), level=9, names=(), manifest="")  # noqa: S311 - the same each time
    parts = ArchiveChunks.cut(archive, 1_000)
    assert b"".join(parts.pieces) == archive.packed()
    assert max(len(piece) for piece in parts.pieces) * 4 / 3 <= 1_000
    there = {number: hashlib.sha256(piece).hexdigest() for number, piece in enumerate(parts.pieces, start=1)}
    assert parts.missing(there) == []
    assert parts.missing(there | {2: "0" * 64}) == [2]
    assert parts.missing({}) == list(range(1, len(parts.pieces) + 1))


def test_what_is_the_same_for_each_file_is_done_once_a_command(host, project, connection):
    """The handover is opened once and given by an open file; a file that connected, also to fail, spares the next the wait."""
    project.engine('echo "${DATABASE_ANSWERED:-no} $(cat <&"$AURORA_PGPASS_FD")"; [[ $2 != *data* ]] || exit 3')
    run = host.run(project.archive())
    _, steps = run.run_sql([SCHEMA, DATA], connection, "two files", inspection=SCHEMA, closing=True)
    line = f"*:*:*:{connection.credentials.user}:{connection.credentials.password}\n"
    assert [step.stdout for step in steps] == [f"no {line}", f"yes {line}", f"yes {line}"]


def test_handover_that_cannot_be_opened_is_left_to_the_engine(host, project, connection):
    """It tells what is wrong with it; nobody gives it half a line."""
    project.engine('echo "${AURORA_PGPASS_FD:-sealed} ${AURORA_SEALED:0:3}"')
    run = host.run(project.archive())
    run.open()
    [folder] = runs(host)
    (folder / "key.pem").unlink()
    _, [step] = run.run_sql([SCHEMA], connection, "no key", closing=True)
    assert step.stdout == "sealed U2F\n"

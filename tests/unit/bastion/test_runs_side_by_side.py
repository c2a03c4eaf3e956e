"""Runs of several projects on one bastion: each executes its own files, whatever the others put into the workspace."""

from __future__ import annotations

import concurrent.futures
import hashlib
import os

import pytest

from etl_manager.bastion.workspace import Archive

DATA, SCHEMA = "sql/aurora/data/data.sql", "sql/aurora/schema/schema.sql"
SHOW = 'cat "$2"'


def archives(project) -> tuple[Archive, Archive]:
    """Return the archives of two projects, whose data files say whose they are."""
    project.engine(SHOW)
    project.write(DATA, "-- mine\n")
    mine = project.archive()
    project.write(DATA, "-- of another project\n")
    return mine, project.archive()


def test_workspace_that_another_run_replaced_before_the_batch(host, project, connection):
    """The run notices, puts its own archive there again, and executes its own files."""
    mine, others = archives(project)
    host.run(mine).run_sql([DATA], connection, "first", closing=True)
    run = host.run(mine)
    run.open()
    host.run(others).run_sql([DATA], connection, "the other", closing=True)
    _, [result] = run.run_sql([DATA], connection, "mine", closing=True)
    assert result.stdout == "-- mine\n"


def test_workspace_that_another_run_replaces_during_the_batch(host, project, connection):
    """The files are in the run's own folder by then."""
    mine, others = archives(project)
    project.write(DATA, "-- mine\n")
    go = host.tmp / "go"
    project.engine(f'[[ $2 == *data* ]] || until [[ -e "{go}" ]]; do sleep 0.02; done; {SHOW}')
    mine = project.archive()
    run = host.run(mine)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(run.run_sql, [SCHEMA, DATA], connection, "mine", closing=True)
        while not list(host.tmp.glob("etl-manager-run-*/workspace/sql")):
            pass
        _, [theirs] = host.run(others).run_sql([DATA], connection, "the other", closing=True)
        go.touch()
        _, [_, result] = running.result(30)
    assert (theirs.stdout, result.stdout) == ("-- of another project\n", "-- mine\n")


def test_file_that_was_edited_together_with_the_list_of_digests(host, project, connection):
    """The suite knows what the list must be: the workspace is not taken for intact, before the run or in it."""
    project.engine(SHOW)
    archive = project.archive()
    host.run(archive).run_sql([DATA], connection, "first", closing=True)
    opened = host.run(archive)
    opened.open()
    forge(host)
    assert not host.run(archive).open().intact
    _, [result] = opened.run_sql([DATA], connection, "mine", closing=True)
    assert result.stdout == "-- data\n"


def forge(host) -> None:
    """Edit a file of the workspace, and what the workspace says of it."""
    manifest = host.workspace / ".transfer/manifest"
    lines = manifest.read_text().splitlines()
    forged = f"{hashlib.sha256(b'DROP SCHEMA x;').hexdigest()}  ./{DATA}"
    (host.workspace / DATA).write_text("DROP SCHEMA x;")
    manifest.write_text("\n".join(forged if line.endswith(DATA) else line for line in lines) + "\n")


@pytest.mark.parametrize("kilobytes", [0, 20])
def test_three_runs_of_one_project_at_once_on_an_empty_bastion(host, project, connection, kilobytes):
    """They have the same parts; none takes them from another."""
    project.engine(SHOW)
    project.write("sql/shared/large.bin", os.urandom(kilobytes * 1024))
    archive = project.archive()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        runs = [
            pool.submit(host.run(archive, most=12_000).run_sql, [DATA], connection, "at once", closing=True)
            for _ in range(3)
        ]
        assert [run.result(60)[1][0].stdout for run in runs] == ["-- data\n"] * 3
    assert not list(host.tmp.glob("workspace.*"))

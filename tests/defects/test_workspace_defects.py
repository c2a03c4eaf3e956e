"""Whatever is altered on the bastion, a run executes its own files or none, and says what it found there."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl_manager.bastion.session import BastionSession
from etl_manager.bastion.workspace import Archive, ArchiveChunks
from etl_manager.errors import WorkspaceError
from tests.defects.shell import CONNECTION, Shell, ShellHost
from tests.defects.workspace import (
    BEFORE,
    DATA,
    DURING,
    DURING_REFUSED,
    FORGED,
    HARMLESS,
    HELD,
    PARTS,
    SCHEMA,
    Alter,
    give_away,
)
from tests.support.transferred import TransferredProject, checkout

ENGINE = """[[ ! -e $HOME/../meanwhile ]] || bash "$HOME/../meanwhile"
sha256sum <"$1"
cat "$2\""""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransferredProject]:
    """A project whose engine prints the digest of its configuration, and the SQL file."""
    with checkout(tmp_path_factory.mktemp("project"), ENGINE) as project:
        yield project


@pytest.fixture(scope="module")
def archive(project: TransferredProject) -> Archive:
    """What is transferred of it."""
    return project.archive()


@pytest.fixture(scope="module")
def made(project: TransferredProject, archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace as a run leaves it."""
    host = ShellHost(tmp_path_factory.mktemp("made"))
    assert run(host.session(archive), project) == (0, "-- data\n")
    return host.workspace


@pytest.fixture
def host(made: Path, tmp_path: Path) -> ShellHost:
    """A bastion with that workspace."""
    shutil.copytree(made, tmp_path / "workspace")
    return ShellHost(tmp_path)


def run(session: BastionSession, project: TransferredProject) -> tuple[int, str]:
    """Run two files; return exit status and output of the second, without the configuration's digest, which must be right."""
    _, files = session.run_sql([SCHEMA, DATA], CONNECTION, "seeds", closing=True)
    assert files[0].stdout.endswith("-- schema\n")
    line, _, rest = files[1].stdout.partition("\n")
    assert line == f"{hashlib.sha256(project.configured().resolved()).hexdigest()}  -"
    return files[1].exit_code, rest


def sent(session: BastionSession) -> int:
    """Return how many commands it took."""
    shell = session.run_command.client
    assert isinstance(shell, Shell)
    return len(shell.answers)


def needs_root(alter: Alter, case: str) -> None:
    """Skip what only root can alter."""
    if (alter is give_away or "another user" in case) and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")


@pytest.mark.parametrize("case", BEFORE)
def test_alteration_before_a_run_is_found(
    host: ShellHost, archive: Archive, project: TransferredProject, case: str
) -> None:
    """It is named; then the project's own files are run, or none are."""
    seed = BEFORE[case]
    needs_root(seed.alter, case)
    seed.alter(host.workspace)
    session = host.session(archive)
    if seed.refused:
        with pytest.raises(WorkspaceError) as found:
            session.run_sql([DATA], CONNECTION, "seeds", closing=True)
        assert seed.told in found.value.message
        session.close()
        return
    assert run(session, project) == (0, "-- data\n")
    [told] = host.told
    assert seed.told.format(host.workspace) in told


@pytest.mark.parametrize("case", DURING)
def test_alteration_during_a_run_is_found(
    host: ShellHost, archive: Archive, project: TransferredProject, case: str
) -> None:
    """The run notices, looks again, puts its own archive there, and runs that."""
    session = host.session(archive)
    session.open()
    DURING[case](host.workspace)
    assert run(session, project) == (0, "-- data\n")
    assert sent(session) > 2
    assert (host.workspace / DATA).read_text() == "-- data\n"


@pytest.mark.parametrize("case", DURING_REFUSED)
def test_place_that_was_taken_during_a_run_is_an_error(host: ShellHost, archive: Archive, case: str) -> None:
    """Nothing is run, and what is there is left alone."""
    seed = DURING_REFUSED[case]
    needs_root(seed.alter, case)
    session = host.session(archive)
    session.open()
    seed.alter(host.workspace)
    with pytest.raises(WorkspaceError) as found:
        session.run_sql([SCHEMA, DATA], CONNECTION, "seeds", closing=True)
    assert seed.told in found.value.message
    session.close()


@pytest.mark.parametrize("case", HELD)
def test_alteration_after_the_copy_is_found(
    host: ShellHost, archive: Archive, project: TransferredProject, case: str
) -> None:
    """What is changed behind a link, once the run has its own copy, has no part in it."""
    session = host.session(archive)
    session.open()
    HELD[case](host.workspace)
    (host.tmp / "meanwhile").write_text(f'printf -- "{FORGED}" >"{host.workspace / DATA}"\n')
    assert run(session, project) == (0, "-- data\n")


@pytest.mark.parametrize("case", PARTS)
def test_alteration_of_a_part_is_found(tmp_path: Path, project: TransferredProject, case: str) -> None:
    """What arrived damaged is sent again: the workspace is the archive."""
    name = "sql/shared/large.bin"
    large = project.write(name, os.urandom(20_000)).read_bytes()
    archive, host = project.archive(), ShellHost(tmp_path)
    (project.root / name).unlink()
    session = host.session(archive, most=14_000)
    pieces = ArchiveChunks.cut(archive, session._transfer._room()).pieces
    folder = tmp_path / f"workspace.parts-{archive.digest}"
    folder.mkdir()
    for number, piece in enumerate(pieces, start=1):
        (folder / str(number)).write_bytes(piece)
    assert len(session.open().parts) == len(pieces) > 1
    PARTS[case](folder / "1")
    assert run(session, project) == (0, "-- data\n")
    assert (host.workspace / name).read_bytes() == large


@pytest.mark.parametrize("case", HARMLESS)
def test_what_has_no_part_in_the_result_stays_green(
    host: ShellHost, archive: Archive, project: TransferredProject, case: str
) -> None:
    """Nothing is told, and nothing transferred."""
    HARMLESS[case](host.workspace)
    session = host.session(archive)
    assert run(session, project) == (0, "-- data\n")
    assert (host.told, sent(session)) == ([], 2)

"""Whatever is altered in what SSM tells of a command is an error that says what does not fit, and no result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from etl_manager.bastion.session import BastionSession
from etl_manager.errors import ProvisioningError
from etl_manager.ssm.script import SqlFileResult
from tests.defects.shell import CONNECTION, Answer, Shell, ShellHost, unchanged
from tests.defects.transport import DATA, HARMLESS, SCHEMA, SEEDS, Alter
from tests.support.transferred import checkout

LINES = r"first line of $2\nsecond line\nfünf\na blank \n"
PAGES = "".join(f"{number * number * 7919 % 1_000_003:x}" for number in range(16_000))
"""What does not fit one answer, packed."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BastionSession]:
    """A run that is open, of a project whose engine prints a few lines for each file, and a log."""
    engine = f'printf "{LINES}"; [[ ! -e "$HOME/../long" ]] || cat "$HOME/../long"; echo "its log" >&2'
    with checkout(tmp_path_factory.mktemp("project"), engine) as project:
        session = ShellHost(tmp_path_factory.mktemp("host")).session(project.archive())
        session.run_sql([SCHEMA, DATA], CONNECTION, "the transfer")
        yield session
        session.close()


def run(
    session: BastionSession, alter: Alter, page: int = 0, other: Answer | None = None
) -> tuple[list[SqlFileResult], Answer]:
    """Run both files; *alter* makes another one of an answer, by *other*. Return the results, and the true answer."""
    shell = session.run_command.client
    assert isinstance(shell, Shell)
    altered = len(shell.answers) + page
    shell.alter = lambda answer: alter(answer, other or {}) if shell.answers.index(answer) == altered else answer
    try:
        _, files = session.run_sql([SCHEMA, DATA], CONNECTION, "seeds")
    finally:
        shell.alter = unchanged
    return files, shell.answers[altered]


@contextmanager
def long_output(session: BastionSession) -> Iterator[None]:
    """Let each file print more than fits one answer."""
    long = Path(session.run_command.runtime).parent / "long"
    long.write_text(PAGES)
    yield
    long.unlink()


@pytest.fixture(scope="module")
def earlier(session: BastionSession) -> Answer:
    """The answer to an earlier command with the same files."""
    return run(session, true)[1]


def true(answer: Answer, _: Answer) -> Answer:
    """Return the true answer."""
    return answer


@pytest.mark.parametrize("case", SEEDS)
def test_altered_answer_is_an_error(session: BastionSession, earlier: Answer, case: str) -> None:
    """It says what does not fit."""
    seed = SEEDS[case]
    with (
        long_output(session) if seed.long else nullcontext(),
        pytest.raises(ProvisioningError) as found,
    ):
        run(session, seed.alter, seed.page, earlier)
    assert seed.told in found.value.message


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_harmless_gives_the_same_result(session: BastionSession, earlier: Answer, case: str) -> None:
    """Both files, with all they printed."""
    files, _ = run(session, HARMLESS[case], 0, earlier)
    assert [(each.file, each.exit_code, each.stdout, each.stderr) for each in files] == [
        (file, 0, f"first line of {file}\nsecond line\nfünf\na blank \n", "its log\n") for file in (SCHEMA, DATA)
    ]


def test_long_output_comes_in_pages(session: BastionSession) -> None:
    """What the seeds of pages alter is there."""
    with long_output(session):
        _, page = run(session, true, 1)
    assert page["StandardOutputContent"].endswith("remainder=\n")

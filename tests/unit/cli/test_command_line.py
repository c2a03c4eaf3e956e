"""The call itself: what is refused before anything is sent, and what reaches the bastion's shell."""

from __future__ import annotations

import shutil
import signal
import subprocess

import pytest

from etl_manager.cli import main
from etl_manager.targets.local import forget
from tests.support import forks
from tests.support.project import Project


@pytest.fixture
def call(service, monkeypatch, capfd):
    """Call the command line in this process, which is quicker; return exit status, stdout and stderr."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    handlers = {sign: signal.getsignal(sign) for sign in (signal.SIGTERM, signal.SIGHUP)}

    def run(*words: str) -> tuple[int, str, str]:
        status = main.main(words)
        captured = capfd.readouterr()
        return status, captured.out, captured.err

    yield run
    for sign, handler in handlers.items():
        signal.signal(sign, handler)


@pytest.mark.parametrize("status", [1, 137, 168, 194])
def test_the_exit_status_of_the_command_is_ours(call, status):
    """Also those by which an SSM agent would take the command for killed, or reboot the machine and run it again."""
    found, out, _ = call("-p", "aurora-postgresql", "--bastion-command", f"echo once; exit {status}")
    assert found == status
    assert out.count("once\n") == 1


def test_a_command_arrives_as_it_was_typed(call):
    """Whatever characters it holds, and whatever they mean to the shells in between."""
    words = [
        "it's", '"quoted"', "$HOME `id` \\", "{{ssm:secret}} {{{x}}}", "a\nb", "日本語 ✓", "-n", "#!/bin/false", "%s\\n", "EOF\nPART", "",
    ]  # fmt: skip
    command = "printf '%s|' " + " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    status, out, _ = call("-p", "aurora-postgresql", "--bastion-command", command)
    assert f"=== COMMAND OUTPUT ===\n{'|'.join(words)}|[INFO]" in out
    assert status == 0


def test_no_braces_stand_together_in_what_is_sent(call, service):
    """The agent on the instance replaces {{ssm:NAME}} by a parameter's value."""
    call("-p", "aurora-postgresql", "--bastion-command", "echo '{{ssm:name}}' {{{a,b}}}")
    assert "{{" not in service.commands()[0]["Parameters"]["commands"][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-p", "aurora-mysql", "--bastion-command", "x"], "Pattern 'aurora-mysql' is not supported"),
        (["-p", "rds-mysql", "--bastion-command", "x"], "Pattern 'rds-mysql' is not supported"),
        (["--bastion-command", "x"], "-p/--pattern"),
        (["-p", "aurora-postgresql"], "--bastion-command --upload-script"),
        (["-p", "aurora-postgresql", "--bastion-command", " "], "--bastion-command is empty"),
        (["-p", "aurora-postgresql", "--bastion-command", "x", "--upload-script", "y"], "not allowed with"),
        (["-p", "aurora-postgresql", "--upload-script", "no-such-file.sh"], "no-such-file.sh"),
        (["-p", "aurora-postgresql", "--bastion-command", "x", "--verify-data"], "--verify-data"),
        (["-p", "aurora-postgresql", "--bastion-command", "x", "-c", "no-such.json"], "no-such.json"),
        (["-p", "aurora-postgresql", "--bastion-command", "x", "--local", "--aws-profile", "p"], "--local"),
        (["local", "--no-such-option"], "--no-such-option"),
        (["local", "--fault", "no-such-fault"], "no-such-fault"),
        ([], "-p/--pattern"),
    ],
)
def test_a_wrong_call_is_told_and_sends_nothing(call, service, words, message):
    """One clear message with exit status 64; SSM hears nothing of it."""
    before = len(service.commands())
    status, out, err = call(*words)
    assert status == 64
    assert err.startswith("[ERROR] ")
    assert message in err
    assert out == ""
    assert len(service.commands()) == before


def test_a_bad_configuration_is_told_whole(call, tmp_path):
    """Every problem with its path, as everywhere."""
    (tmp_path / "bad.json").write_text('{"tenants": ["TENANT A"], "aurora": {"sslmode": "no"}}')
    status, _, err = call("-p", "aurora-postgresql", "-c", str(tmp_path / "bad.json"), "--bastion-command", "true")
    assert status == 64
    assert "tenants[0]" in err
    assert "aurora.sslmode" in err


def test_help_names_every_option(project, bare):
    """And the four commands, as they are typed."""
    done = subprocess.run([project / "2-etl-manager.sh", "-h"], check=True, capture_output=True, text=True, env=bare)
    for option in ("-p", "-c", "--bastion-command", "--upload-script", "--skip-copy", "--local", "--dry-run", "-h"):
        assert f" {option}" in done.stdout
    assert done.stdout.count("scripts/2-sql-execute.sh config.json sql/aurora/") == 4


@pytest.fixture
def clone(tmp_path):
    """A copy of the project with a local target of its own."""
    found = Project(tmp_path / "a clone")
    yield found
    forget(found.path / ".local")


def test_local_uses_the_local_target_for_one_call(clone, bare):
    """No AWS, no service; its state survives the call, and no process does."""

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        words = ("-p", "aurora-postgresql", "-c", "config.json", "--local", "--bastion-command", *words)
        return forks.run("etl_manager", *words, cwd=clone.path, env=bare)

    done = call("scripts/2-sql-execute.sh config.json sql/aurora/database/create-multitenant-database.sql")
    assert done.returncode == 0, done.stderr
    assert "Target: local (emulated)" in done.stdout
    done = call("psql -d multitenant_analytics -Atc 'SELECT current_database()'", "--skip-copy")
    assert "=== COMMAND OUTPUT ===\nmultitenant_analytics\n" in done.stdout
    assert done.returncode == 0
    assert clone.processes() == []


def test_it_can_be_called_from_anywhere(service, tmp_path):
    """The configuration is found from where the caller is, everything else beside the script."""
    shutil.copy(service.project / "config.json", tmp_path / "other.json")
    done = subprocess.run(
        [service.project / "2-etl-manager.sh", "-p", "aurora-postgresql", "-c", "other.json", "--bastion-command", "ls"],
        cwd=tmp_path, env=service.environment, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert "config.json\nscripts\nsql\n" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("python", [None, "#!/bin/sh\nexit 1\n"], ids=["no python", "one without the libraries"])
def test_without_a_python_it_says_what_to_do(project, tmp_path, python):
    """Where there is no .venv yet, and no python3 that would do."""
    shutil.copy(project / "2-etl-manager.sh", tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "env", "dirname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    if python:
        (programs / "python3").write_text(python)
        (programs / "python3").chmod(0o755)
    done = subprocess.run(
        [tmp_path / "2-etl-manager.sh", "-h"], env={"PATH": str(programs)}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "make -C" in done.stderr
    assert "Traceback" not in done.stderr

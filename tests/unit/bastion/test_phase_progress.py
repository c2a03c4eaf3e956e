"""How far a long phase is: read from the bastion at few calls, told in words, and never the run's undoing."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from etl_manager.errors import CommandError
from etl_manager.ssm.phase_progress import PhaseProgress, duration
from etl_manager.ssm.retry import Retry, Timeouts
from etl_manager.ssm.run_command import RunCommand
from etl_manager.ssm.script import MARK, Script

SCHEMA = "sql/aurora/schema/schema.sql"
SAID = "psql:sql/shared/apply.sql:1: INFO:  [PROGRESS] tenants=340 of=1000 seconds=28 step=applying changes"
TOLD = f"file={SCHEMA}\nidle=2\nsaid={SAID}\n"
WAITS = "[PROGRESS] waits=process 42 (2-sql-execute.x), connected since 2026-01-02 03:04:05+00"
BATCH = Script((), ["sleep 1"], tells_progress=True)


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (TOLD, "schema, applying changes: 340 of 1,000 tenants, 12 a second, about 52 s left"),
        (TOLD.replace("of=1000", "of=100000"), "schema, applying changes: 340 of 100,000 tenants, 12 a second, about 2 h 17 min left"),
        (TOLD.replace("seconds=28", "seconds=2800"), "schema, applying changes: 340 of 1,000 tenants, 7 a minute, about 91 min left"),
        (TOLD.replace("tenants=340", "tenants=1000"), "schema, applying changes: 1,000 of 1,000 tenants, 36 a second"),
        (TOLD.replace("INFO:  ", "ИНФОРМАЦИЯ:  "), "schema, applying changes: 340 of 1,000 tenants, 12 a second, about 52 s left"),
        (TOLD.replace("idle=2", "idle=40"), "schema, applying changes: 340 of 1,000 tenants, nothing for 40 s"),
        (TOLD.replace("idle=2", "idle=-7"), "schema, applying changes: 340 of 1,000 tenants, 12 a second, about 54 s left"),
        (TOLD.replace("seconds=28", "seconds=0"), "schema, applying changes: 340 of 1,000 tenants"),
        (TOLD.replace("[PROGRESS]", "progress"), "schema: schema.sql"),
        (f"file={SCHEMA}\nidle=2\nsaid=\n", "schema: schema.sql"),
        (f"file={SCHEMA}\nidle=30\nsaid=psql:x.sql:1: INFO:  {WAITS}\n", f"schema: waits for another run, {WAITS[17:]}, for 30 s"),
    ],
)  # fmt: skip
def test_progress_is_told_with_its_rate_and_the_time_left(told, line):
    """Whatever the server's language; what cannot be known is not told."""
    progress = PhaseProgress.read(told)
    assert progress is not None
    assert progress.line() == line


@pytest.mark.parametrize("told", ["", "file=\n", "idle=3\n", "a line\n"])
def test_nothing_is_told_where_no_file_runs(told):
    """As between two files."""
    assert PhaseProgress.read(told) is None


def test_time_left_is_counted_down_until_it_is_over():
    """Between two looks the rate is taken for the same."""
    progress = PhaseProgress.read(TOLD)
    assert progress is not None
    assert progress.line(age=22).endswith("about 30 s left")
    assert progress.line(age=60).endswith("12 a second")


def test_durations_are_rough():
    assert [duration(seconds) for seconds in (0.2, 55.4, 99.9, 720, 11_100)] == ["1 s", "55 s", "100 s", "12 min", "3 h 5 min"]  # fmt: skip


class Ssm:
    """An SSM whose first command takes *seconds*, and whose others tell *told*, or meet *trouble*."""

    def __init__(
        self, seconds: float, told: str = TOLD, trouble: Exception | None = None, status: str = "Success"
    ) -> None:
        self.now = 0.0
        self.ends = seconds
        self.told, self.trouble, self.status = told, trouble, status
        self.sent: list[float] = []
        self.asked = 0
        self.tokens: list[str] = []

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.now += seconds

    def send_command(self, **words: Any) -> dict[str, Any]:
        """Take a command."""
        self.sent.append(self.now)
        self.tokens.append(words["Comment"][-9:-1])
        if self.trouble and len(self.sent) > 1:
            raise self.trouble
        return {"Command": {"CommandId": str(len(self.sent))}}

    def get_command_invocation(self, *, CommandId: str, InstanceId: str) -> dict[str, Any]:  # noqa: N803
        """Tell how a command is."""
        assert InstanceId == "i-1"
        self.asked += CommandId != "1"
        status = ("InProgress" if self.now < self.ends else "Success") if CommandId == "1" else self.status
        out = b"done" if CommandId == "1" else self.told.encode()
        marker = (
            f"\n{MARK} token={self.tokens[int(CommandId) - 1]} encoding=plain bytes={len(out)} "
            f"sha256={hashlib.sha256(out).hexdigest()} status=0 size={len(out)} remainder=\n"
        )
        return {
            "Status": status, "StatusDetails": status, "ResponseCode": 0,
            "StandardOutputContent": out.decode() + marker, "StandardErrorContent": "",
        }  # fmt: skip

    def describe_instance_information(self, **_: Any) -> dict[str, Any]:
        """Tell that the agent is there."""
        return {"InstanceInformationList": [{"PingStatus": "Online"}]}


def run(ssm: Ssm, script: Script = BATCH) -> tuple[RunCommand, list[str]]:
    """Run *script*; return the client and the status lines."""
    shown: list[str] = []
    retry = Retry(timeouts=Timeouts(), clock=lambda: ssm.now, sleep=ssm.sleep)
    client = RunCommand(ssm, "i-1", "/tmp/workspace", 20_000, retry, on_status=shown.append)
    assert client.run(script, "phase schema").stdout == b"done"
    return client, shown


@pytest.mark.parametrize(
    ("seconds", "asked"),
    [(15, []), (25, [20]), (100, [20, 40, 80]), (3_500, [20, 40, 80, 160, 320, 640, 1_280, 2_560])],
)
def test_longer_a_command_takes_the_more_rarely_it_is_asked_for(seconds, asked):
    """A short one is not; an hour takes eight SendCommands, each polled once where it is answered."""
    ssm = Ssm(seconds)
    client, shown = run(ssm)
    assert ssm.sent[0] == 0
    assert ssm.sent[1:] == [pytest.approx(at, abs=2.1) for at in asked]
    assert ssm.asked <= len(asked)
    assert client.commands_sent == 1 + len(asked)
    assert any("340 of 1,000 tenants, 12 a second, about " in line for line in shown) == bool(asked)


def test_command_that_runs_no_phase_is_not_asked_for():
    """As one of the user's own."""
    assert run(Ssm(200), Script((), ["sleep 1"]))[0].commands_sent == 1


@pytest.mark.parametrize(
    "ssm",
    [
        Ssm(100, trouble=ClientError({"Error": {"Code": "ThrottlingException"}}, "SendCommand")),
        Ssm(100, trouble=ClientError({"Error": {"Code": "AccessDeniedException"}}, "SendCommand")),
        Ssm(100, trouble=ReadTimeoutError(endpoint_url="https://ssm")),
        Ssm(100, trouble=CommandError("lost")),
        Ssm(100, trouble=KeyError("Command")),
        Ssm(100, status="Failed", told=""),
        Ssm(100, told=base64.b64encode(b"anything").decode()),
    ],
)
def test_whatever_goes_wrong_with_it_the_run_goes_on(ssm):
    """It is not tried again before it is due, and the status is what it was without it."""
    _, shown = run(ssm)
    assert len(ssm.sent) == 4
    assert not any("tenants" in line for line in shown)
    assert shown[-2].startswith("phase schema · InProgress · ")


def test_output_of_another_command_is_not_taken_for_progress(monkeypatch):
    """SSM has returned such."""
    ssm = Ssm(100)
    monkeypatch.setattr("etl_manager.ssm.run_command.PROGRESS", Script((), []))
    client, shown = run(ssm)
    assert any("tenants" in line for line in shown)
    ssm = Ssm(100)
    taken = ssm.send_command
    monkeypatch.setattr(
        ssm, "send_command", lambda **words: taken(**words | {"Comment": "[00000000]"}) if ssm.sent else taken(**words)
    )
    _, shown = run(ssm)
    assert client.commands_sent == len(ssm.sent)
    assert not any("tenants" in line for line in shown)


def test_command_that_is_not_answered_is_left_alone():
    """An agent that is busy with five others has it wait: ten polls, and no second one beside it."""
    ssm = Ssm(3_500, status="InProgress")
    run(ssm)
    assert len(ssm.sent) == 9
    assert ssm.asked == 8 * 10


READS_ON = r"""
    exec 8<"$AURORA_NEXT"
    read -r line <&8; echo "${line#\\echo }"
    read -r line <&8; eval "${line#\\! }"
    read -r line <&8
"""
"""What psql does with the lines that end a look, and with the one that ends it."""


@pytest.mark.parametrize(("looks", "phase"), [(False, "schema"), (True, "verification")])
def test_bastion_tells_what_runs_and_what_it_said_last(host, project, connection, looks, phase):
    """While it runs; the lines for programs are no part of the file's output, and the folder of the run goes as ever."""
    file = f"sql/aurora/{phase}/{phase}.sql"
    project.engine(
        f'echo "log" >&2; echo "psql:x.sql:1: INFO:  {WAITS}" >&2; echo "{SAID}" >&2\n'
        f'until [[ -e $RUNTIME/seen ]]; do sleep 0.02; done; echo "[INFO] done" >&2\n{READS_ON if looks else ""}'
    )
    bastion = host.run(project.archive())
    bastion.run_command.retry = Retry(timeouts=Timeouts(progress_delay=0.5, execution_timeout=20))
    shown: list[str] = []

    def status(line: str) -> None:
        if "340 of 1,000" in line and not any("340 of 1,000" in earlier for earlier in shown):
            next(host.tmp.glob("etl-manager-run-*")).joinpath("seen").touch()
        shown.append(line)

    bastion.run_command.on_status = status
    inspection = file if looks else ""
    _, [step] = bastion.run_sql([file], connection, phase, inspection=inspection, closing=True)
    assert any(
        line.startswith(f"{phase}, applying changes: 340 of 1,000 tenants, 12 a second, about 5") for line in shown
    )
    assert (step.exit_code, step.stderr) == (0, "log\n[INFO] done\n")
    assert list(host.tmp.glob("etl-manager-run-*")) == []

"""A Run Command without SSM: each script is run by bash as soon as it is sent, in a folder that stands for /tmp."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etl_manager.aws.discovery import Connection, Credentials
from etl_manager.bastion.session import BastionSession, RunRecords
from etl_manager.bastion.workspace import Archive
from etl_manager.ssm.retry import Retry
from etl_manager.ssm.run_command import RunCommand
from etl_manager.ssm.script import RUNTIME_PREFIX
from etl_manager.targets.postgres import programs
from tests.unit.bastion.test_ssm_client import INSTANCE, Clock

CONNECTION = Connection(host="db.example", port=5432, credentials=Credentials("postgres", "a-password-of-the-tests"))
Answer = Mapping[str, Any]


def unchanged(answer: Answer) -> Answer:
    """Return *answer*."""
    return answer


@dataclass
class Shell:
    """What stands for SSM and the bastion. *alter* makes of each command's answer what the suite is told."""

    tmp: Path
    alter: Callable[[Answer], Answer] = unchanged
    answers: list[Answer] = field(default_factory=list)

    def send_command(self, **asked: Any) -> dict[str, Any]:
        """Run it; keep what SSM keeps of its output (AWS: GetCommandInvocation)."""
        path = f"{programs(16, None)}:{os.environ['PATH']}"
        [text] = asked["Parameters"]["commands"]
        script = self.tmp / "script.sh"
        script.write_text(text)
        # Ended with all that it started, which would hold its output open.
        words = ["timeout", "--signal=KILL", "60", "bash", script]
        done = subprocess.run(words, cwd=self.tmp, env={"PATH": path}, capture_output=True, check=False)
        assert done.returncode != -signal.SIGKILL, "the command has no end"
        self.answers.append(
            {
                "Status": "Failed" if done.returncode else "Success",
                "StatusDetails": "Failed" if done.returncode else "Success",
                "ResponseCode": done.returncode,
                "StandardOutputContent": done.stdout[:24_000].decode(),
                "StandardErrorContent": done.stderr[:8_000].decode(),
            }
        )
        return {"Command": {"CommandId": str(len(self.answers))}}

    def get_command_invocation(self, **asked: Any) -> Answer:
        """Return the answer, altered."""
        return self.alter(self.answers[int(asked["CommandId"]) - 1])

    def describe_instance_information(self, **_: Any) -> dict[str, Any]:
        """Be online."""
        return {"InstanceInformationList": [{"PingStatus": "Online"}]}


@dataclass
class ShellCommand(RunCommand):
    """As the suite's own, but for the folder of the run."""

    tmp: str = ""

    @property
    def runtime(self) -> str:
        """The folder of the run."""
        return f"{self.tmp}/{RUNTIME_PREFIX}{self.run_id}"


@dataclass
class ShellHost:
    """A bastion that is a folder."""

    tmp: Path
    told: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Path:
        """What stands for /tmp/workspace."""
        return self.tmp / "workspace"

    def session(self, archive: Archive, *, skip_copy: bool = False, most: int = 60_000) -> BastionSession:
        """Return a run that transfers *archive* in commands of at most *most* bytes; nobody waits for real."""
        clock = Clock()
        retry = Retry(clock=clock.time, sleep=clock.sleep)
        command = ShellCommand(Shell(self.tmp), INSTANCE, str(self.workspace), most, retry, tmp=str(self.tmp))
        records = RunRecords(self.tmp / "records")
        return BastionSession(command, archive, records, skip_copy, self.told.append)

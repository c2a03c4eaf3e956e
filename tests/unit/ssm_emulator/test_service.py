"""``python -m ssm_emulator``: prints how to reach it, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import forks

ROOT = Path(__file__).parents[3]
AWS = Path(sys.executable).parent / "aws"


def start(*words: str | Path) -> tuple[forks.Process, dict[str, str]]:
    """Start the service, and return it with what it exports once it is ready."""
    process = forks.start("ssm_emulator", *words, cwd=ROOT, env=os.environ, errors_apart=True)
    exports = {}
    for line in process.lines("ready")[:-1]:
        name, _, value = line.removeprefix("export ").strip().partition("=")
        exports[name] = value
    return process, exports


def aws(exports: dict[str, str], *words: str) -> str:
    """Run the AWS CLI with nothing but what the service exported."""
    environment = {"PATH": os.environ["PATH"], "AWS_CONFIG_FILE": os.devnull, **exports}
    command = [str(AWS), "ssm", *words, "--output", "text"]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_serves_instances_until_it_is_told_to_end(tmp_path, sign):
    """The AWS CLI runs a command on each instance; the end kills what runs, and keeps the folders that were named."""
    one, two = "i-0000000000000000a", "i-0000000000000000b"
    process, exports = start("--host", f"{one}={tmp_path / 'a'}", "--host", f"{two}={tmp_path / 'b'}", "--region", "eu-west-1")  # fmt: skip
    assert list(exports) == ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"]
    assert exports["AWS_DEFAULT_REGION"] == "eu-west-1"
    command = aws(
        exports, "send-command", "--instance-ids", one, two, "--document-name", "AWS-RunShellScript",
        "--parameters", "commands=echo $$ > /tmp/pid; exec sleep 300", "--query", "Command.CommandId",
    )  # fmt: skip
    assert len(command) == 36
    files = [tmp_path / folder / "tmp/pid" for folder in ("a", "b")]
    deadline = time.monotonic() + 10
    while not all(file.exists() and file.read_text() for file in files):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(sign)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    for file in files:
        assert not Path(f"/proc/{file.read_text().strip()}").exists()


def test_one_instance_in_a_folder_that_goes_away(tmp_path):
    """Without `--host` there is one instance; nothing of it stays. Faults are the emulator's."""
    process, exports = start("--fault", "offline")
    query = "InstanceInformationList[].[InstanceId,PingStatus]"
    assert aws(exports, "describe-instance-information", "--query", query) == "i-0123456789abcdef0\tConnectionLost"
    before = {each for each in Path("/tmp").glob("ssm-emulator-*") if each.is_dir()}
    process.send_signal(signal.SIGTERM)
    process.communicate(30)
    assert process.returncode == 0
    assert len(before - set(Path("/tmp").glob("ssm-emulator-*"))) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--host", "bastion=/tmp/x"], "'bastion=/tmp/x' is not ID=FOLDER"),
        (["--host", "i-0000000000000000a="], "is not ID=FOLDER"),
        (["--fault", "thunder"], "there is no fault 'thunder'. Known are"),
        (["--fault", "invisible=soon"], "'invisible=soon' cannot be used"),
    ],
)
def test_wrong_use(words, said):
    """What cannot be used is one line and exit 2."""
    done = forks.run("ssm_emulator", *words, cwd=ROOT, env=os.environ)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_port_that_is_taken():
    """Who listens there already is not disturbed, and the second says why it does not start."""
    process, exports = start()
    port = exports["AWS_ENDPOINT_URL"].rpartition(":")[2]
    done = forks.run("ssm_emulator", "--port", port, cwd=ROOT, env=os.environ)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"port {port} cannot be listened on" in done.stderr

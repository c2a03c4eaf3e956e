"""The emulated Run Command runs scripts as AWS-RunShellScript does on a real instance."""

from __future__ import annotations

import pytest

MARKER = "--output truncated--"


@pytest.mark.parametrize(
    ("script", "status", "details", "code"),
    [
        ("exit 0", "Success", "Success", 0),
        ("exit 3", "Failed", "Failed", 3),
        ("exit 169", "Failed", "Failed", 169),
        ("exit 168", "Success", "Success", 168),
        ("exit 137", "TimedOut", "ExecutionTimedOut", 137),
        ("kill -9 $$", "Failed", "Failed", -1),
    ],
)
def test_exit_status(bastion, script, status, details, code):
    """The script's exit status decides, as the agent reads it."""
    seen = bastion.run(script)
    assert (seen["Status"], seen["StatusDetails"], seen["ResponseCode"]) == (status, details, code)


def test_last_command_decides(bastion):
    """There is no `set -e`: a failing line in the middle changes nothing."""
    seen = bastion.run("false", "echo here")
    assert (seen["Status"], seen["StandardOutputContent"]) == ("Success", "here\n")


def test_lines_are_one_script(bastion):
    """All commands run in one shell, one after the other."""
    assert bastion.run("x='a b'", 'echo "$x"')["StandardOutputContent"] == "a b\n"


def test_failure_is_appended_to_stderr(bastion):
    """The agent itself says how the script failed."""
    assert bastion.run("echo oh >&2", "exit 4")["StandardErrorContent"] == "oh\nfailed to run commands: exit status 4"


def test_exit_168_wipes_stderr(bastion):
    """168 is a success that shows no stderr."""
    assert bastion.run("echo oh >&2", "exit 168")["StandardErrorContent"] == ""


def test_exit_194_runs_again_after_a_reboot(bastion):
    """194 reboots the machine and runs the script again; files stay, background processes do not."""
    seen = bastion.run(
        "if [ -e /tmp/rebooted ]; then cat /tmp/rebooted; exit 0; fi",
        "sleep 300 >/dev/null 2>&1 & echo $! > /tmp/rebooted",
        "exit 194",
    )
    assert seen["Status"] == "Success"
    assert not bastion.alive(seen["StandardOutputContent"])


def test_without_shebang_sh_reads_the_script(bastion):
    """Sh is bash in POSIX mode, as on Amazon Linux."""
    assert bastion.run("echo $0 | grep -c _script.sh", "shopt -qo posix && echo posix")["StandardOutputContent"] == (
        "1\nposix\n"
    )


def test_shebang_in_the_first_bytes_decides(bastion):
    """With a shebang its interpreter runs the script."""
    assert bastion.run("#!/usr/bin/python3", "print(6 * 7)")["StandardOutputContent"] == "42\n"


def test_shebang_after_an_empty_line_is_a_comment(bastion):
    """Only the very first bytes count."""
    assert bastion.run("", "#!/usr/bin/python3", "echo $((6 * 7))")["StandardOutputContent"] == "42\n"


def test_environment_is_the_agents(bastion, monkeypatch):
    """Nothing of the operator's environment arrives, HOME is not set, the agent's variables are."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "operator's")
    monkeypatch.setenv("PGPASSWORD", "operator's")
    output = bastion.run("env -0 | tr '\\0\\n' '\\n?'")["StandardOutputContent"]
    names = {line.partition("=")[0] for line in output.splitlines()}
    agents = {"AWS_SSM_INSTANCE_ID", "AWS_SSM_REGION_NAME", "AWS_SSM_PLATFORM_NAME", "AWS_SSM_PLATFORM_VERSION"}
    assert names - {"_", "PWD", "SHLVL", "OLDPWD"} == agents | {"SSM_COMMAND_ID", "PATH", "TMPDIR", "LANG"}


def test_command_finds_its_own_id(bastion):
    """SSM_COMMAND_ID is the id that SendCommand returned."""
    seen = bastion.run("echo $SSM_COMMAND_ID")
    assert seen["StandardOutputContent"].strip() == seen["CommandId"]


def test_no_stdin(bastion):
    """Reading stdin ends at once."""
    assert bastion.run("cat; echo done")["StandardOutputContent"] == "done\n"


def test_script_stays_on_disk(bastion):
    """The script lies where the real agent leaves it, for its owner only."""
    seen = bastion.run("true")
    orchestration = bastion.root / "var/lib/amazon/ssm" / bastion.instance_id / "document/orchestration"
    script = orchestration / seen["CommandId"] / "awsrunShellScript/0.awsrunShellScript/_script.sh"
    assert script.read_text() == "true\n"
    assert script.stat().st_mode & 0o777 == 0o700


def test_working_directory(bastion):
    """The script runs where it was told to; /tmp is the sandbox's."""
    bastion.run("mkdir -p /tmp/work")
    seen = bastion.run("pwd", workingDirectory="/tmp/work")
    assert seen["StandardOutputContent"].strip() == str(bastion.root / "tmp/work")


def test_missing_working_directory_fails(bastion):
    """A working directory that is not there fails the command before it starts."""
    seen = bastion.run("echo ran", workingDirectory="/nowhere/at/all")
    assert (seen["Status"], seen["StandardOutputContent"]) == ("Failed", "")
    assert "/nowhere/at/all" in seen["StandardErrorContent"]


@pytest.mark.parametrize("size", [0, 1, 23_999])
def test_output_below_the_limit_is_whole(bastion, size):
    """Below 24,000 bytes all of stdout comes back."""
    assert bastion.run(f"head -c {size} /dev/zero | tr '\\0' x")["StandardOutputContent"] == "x" * size


@pytest.mark.parametrize("size", [24_000, 24_001, 5_000_000])
def test_stdout_is_cut_at_24000_bytes(bastion, size):
    """From 24,000 bytes on the head comes back, marker included."""
    output = bastion.run(f"head -c {size} /dev/zero | tr '\\0' x")["StandardOutputContent"]
    assert output == "x" * (24_000 - len(MARKER)) + MARKER


def test_stderr_is_cut_at_8000_bytes(bastion):
    """Stderr's limit is 8,000 bytes."""
    output = bastion.run("head -c 9000 /dev/zero | tr '\\0' x >&2")["StandardErrorContent"]
    assert output == "x" * (8_000 - len(MARKER)) + MARKER


def test_limits_are_bytes_not_characters(bastion):
    """A cut inside a character leaves it unreadable."""
    output = bastion.run("printf x; for i in $(seq 12000); do printf é; done")["StandardOutputContent"]
    assert output == "x" + "é" * 11_989 + "\ufffd" + MARKER


def test_background_process_with_stdout_keeps_the_command(bastion):
    """The command ends with its streams: a background process that holds them keeps it in progress."""
    assert bastion.run("(sleep 0.3; echo late) & echo early")["StandardOutputContent"] == "early\nlate\n"


def test_background_process_without_stdout_does_not(bastion):
    """A background process with streams of its own outlives the command."""
    seen = bastion.run("sleep 300 >/dev/null 2>&1 & echo $!")
    assert bastion.alive(seen["StandardOutputContent"])


@pytest.fixture
def at_work(bastion):
    """Give a function that sends commands which go on until /tmp/go is there, and the folder where those that began are."""
    bastion.run("rm -rf /tmp/go /tmp/at; mkdir /tmp/at")
    script = "touch /tmp/at/$SSM_COMMAND_ID; until [ -e /tmp/go ]; do sleep 0.05; done"

    def send(count: int):
        sent = [bastion.send(script) for _ in range(count)]
        assert bastion.eventually(lambda: len(begun()) == 5)
        return sent

    def begun() -> set[str]:
        return {path.name for path in (bastion.root / "tmp/at").iterdir()}

    yield send, begun
    (bastion.root / "tmp/go").touch()
    assert bastion.eventually(lambda: bastion.aws.agents[bastion.instance_id].idle)


def test_five_at_once_and_five_that_wait(bastion, at_work):
    """The agent runs five commands at once; five more are InProgress while they wait, the eleventh is Pending."""
    send, begun = at_work
    sent = send(12)
    waiting = set(sent) - begun()
    for command in waiting:
        bastion.wait(command, lambda _: True)
    assert bastion.eventually(
        lambda: sorted(bastion.look(each)["Status"] for each in waiting) == ["InProgress"] * 5 + ["Pending"] * 2
    )
    assert len(begun()) == 5
    (bastion.root / "tmp/go").touch()
    assert {bastion.wait(command)["Status"] for command in sent} == {"Success"}


def test_command_that_is_cancelled_behind_five_others_runs_when_the_agent_starts_next(bastion, at_work):
    """It is not answered: Cancelling, until then."""
    send, begun = at_work
    last = (set(send(6)) - begun()).pop()
    bastion.wait(last, lambda seen: seen["Status"] == "InProgress")
    bastion.ssm.cancel_command(CommandId=last)
    (bastion.root / "tmp/go").touch()
    later = [bastion.run("true")["Status"] for _ in range(3)]
    assert (later, bastion.look(last)["Status"], last in begun()) == (["Success"] * 3, "Cancelling", False)
    bastion.aws.agents[bastion.instance_id].restart()
    assert bastion.wait(last)["Status"] == "Success"
    assert last in begun()


def test_execution_timeout_kills_the_whole_group(bastion, monkeypatch):
    """After executionTimeout the process group is dead: TimedOut / ExecutionTimedOut / 137, with empty outputs."""
    monkeypatch.setattr("ssm_emulator.run_command._AGENT_SECONDS", range(1, 10))
    seen = bastion.run("sleep 300 & echo $! > /tmp/child; wait", executionTimeout="1")
    assert (seen["Status"], seen["StatusDetails"], seen["ResponseCode"]) == ("TimedOut", "ExecutionTimedOut", 137)
    assert (seen["StandardOutputContent"], seen["StandardErrorContent"]) == ("", "")
    child = (bastion.root / "tmp/child").read_text()
    assert bastion.eventually(lambda: not bastion.alive(child))


def test_short_execution_timeout_means_an_hour(bastion):
    """The agent takes 5 seconds and more; less silently means its default."""
    assert bastion.run("sleep 1.2", executionTimeout="1")["Status"] == "Success"


def test_delivery_timeout(emulate):
    """What could not start in time never runs: TimedOut / DeliveryTimedOut / -1."""
    slow = emulate(latency=2)
    request = {  # past boto3, which refuses a limit below 30 s
        "InstanceIds": [slow.instance_id],
        "DocumentName": "AWS-RunShellScript",
        "Parameters": {"commands": ["touch /tmp/ran"]},
        "TimeoutSeconds": 1,
    }
    seen = slow.wait(slow.aws._run_command.send_command(request)["Command"]["CommandId"])
    assert (seen["Status"], seen["StatusDetails"], seen["ResponseCode"]) == ("TimedOut", "DeliveryTimedOut", -1)
    assert not (slow.root / "tmp/ran").exists()


def test_stop_leaves_nothing_running(emulate):
    """Stopping kills what runs and what was left in the background, also what began a session of its own."""
    stopped = emulate()
    left = stopped.run("setsid sleep 300 >/dev/null 2>&1 & echo $!")["StandardOutputContent"]
    stopped.send("echo $$ > /tmp/pid; sleep 300")
    pid = stopped.root / "tmp/pid"
    assert stopped.eventually(lambda: pid.exists() and pid.read_text().endswith("\n"))
    stopped.aws.stop()
    assert not stopped.alive(left)
    assert not stopped.alive(pid.read_text())


def test_new_sandbox_ends_what_a_killed_run_left(emulate):
    """A sandbox that starts kills what an earlier one of the same directory left running."""
    from ssm_emulator import SandboxHost

    earlier = emulate()
    left = earlier.run("sleep 300 >/dev/null 2>&1 & echo $!")["StandardOutputContent"]
    SandboxHost(earlier.root)
    assert earlier.eventually(lambda: not earlier.alive(left))

"""Run Command in a container: what the agent does on EC2, as root and with the machine's own sh."""

from __future__ import annotations

import pytest


def test_runs_as_root_from_the_agents_file(bastion):
    """A script is the agent's file of mode 0700, run by root with sh from the agent's own folder."""
    done = bastion.run("id -un; pwd; echo $0; stat -c '%a %U' $0; echo $BASH_VERSION")
    user, place, script, mode, shell = done["StandardOutputContent"].splitlines()
    assert (user, place, mode) == ("root", "/usr/bin", "700 root")
    assert script == (
        f"/var/lib/amazon/ssm/{bastion.instance_id}/document/orchestration/{done['CommandId']}"
        "/awsrunShellScript/0.awsrunShellScript/_script.sh"
    )
    assert shell


def test_environment_is_the_agents(bastion):
    """A script sees what the agent gives it, and nothing of the engine's or the operator's; HOME is not set."""
    done = bastion.run("env | cut -d= -f1 | tr '\\n' ' '; cat; echo; readlink /proc/$$/fd/0")
    names, stdin = done["StandardOutputContent"].splitlines()
    shell = {"PWD", "SHLVL", "_", "OLDPWD"}
    assert set(names.split()) - shell == {
        "AWS_SSM_INSTANCE_ID",
        "AWS_SSM_PLATFORM_NAME",
        "AWS_SSM_PLATFORM_VERSION",
        "AWS_SSM_REGION_NAME",
        "LANG",
        "PATH",
        "SSM_COMMAND_ID",
    }
    assert stdin == "/dev/null"


def test_status_and_both_outputs_come_back(bastion):
    """Exit status, stdout and stderr are the script's; the agent adds its line to a failure."""
    done = bastion.run("echo ä out; echo err >&2; exit 3", workingDirectory="/tmp")
    assert (done["Status"], done["ResponseCode"]) == ("Failed", 3)
    assert done["StandardOutputContent"] == "ä out\n"
    assert done["StandardErrorContent"] == "err\nfailed to run commands: exit status 3"


def test_long_output_is_cut_as_ssm_cuts(bastion):
    """5 MB on both streams at once do not block, and SSM keeps the head of each."""
    done = bastion.run("head -c 5000000 /dev/zero | tr '\\0' e >&2 & head -c 5000000 /dev/zero | tr '\\0' o; wait")
    assert done["Status"] == "Success"
    assert done["StandardOutputContent"] == "o" * 23_980 + "--output truncated--"
    assert done["StandardErrorContent"] == "e" * 7_980 + "--output truncated--"


def test_folder_that_is_not_there_fails_the_command(bastion):
    """A working directory that does not exist fails the command, and the script does not run."""
    done = bastion.run("echo ran", workingDirectory="/nowhere")
    assert done["Status"] == "Failed"
    assert done["StandardOutputContent"] == ""
    assert "/nowhere" in done["StandardErrorContent"]


@pytest.mark.parametrize("how", ["cancel", "timeout"])
def test_end_from_outside_kills_the_whole_group(bastion, how):
    """Cancel and time limit kill what the script started too, and nothing else that runs on the bastion."""
    other = bastion.send("exec sleep 4321")
    script = "sleep 1234 & bash -c 'sleep 1235; true' & sleep 1236"
    limit = {"executionTimeout": "5"} if how == "timeout" else {}
    command = bastion.send(script, **limit)
    assert bastion.eventually(lambda: len(bastion.processes("sleep 123")) >= 3)
    if how == "cancel":
        bastion.ssm.cancel_command(CommandId=command)
    done = bastion.wait(command)
    assert done["Status"] == {"cancel": "Cancelled", "timeout": "TimedOut"}[how]
    assert bastion.eventually(lambda: not bastion.processes("sleep 123"))
    assert bastion.processes("sleep 4321")
    bastion.ssm.cancel_command(CommandId=other)
    bastion.wait(other)


def test_reboot_kills_everything_and_keeps_files(bastion):
    """A script that asks for a reboot is run again; what it left in the background is gone, its files are not."""
    done = bastion.run(
        "[ ! -e /tmp/rebooted ] || { rm /tmp/rebooted; echo again; exit; }",
        "touch /tmp/rebooted; setsid sleep 5678 </dev/null >/dev/null 2>&1 & exit 194",
    )
    assert (done["Status"], done["StandardOutputContent"]) == ("Success", "again\n")
    assert not bastion.processes("sleep 5678")

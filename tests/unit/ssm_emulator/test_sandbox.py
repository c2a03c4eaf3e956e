"""The sandbox maps /tmp, and nothing that only looks like it."""

from __future__ import annotations

import pytest

from ssm_emulator import SandboxHost, SsmEmulator
from tests.unit.ssm_emulator.conftest import INSTANCE, Bastion


@pytest.mark.parametrize(
    ("text", "mapped"),
    [
        ("ls /tmp", "ls @/tmp"),
        ("cd /tmp/workspace && ls", "cd @/tmp/workspace && ls"),
        ("x=/tmp/a:/tmp/b", "x=@/tmp/a:@/tmp/b"),
        ("cat '/tmp/a' \"/tmp/b\" >/tmp/c", "cat '@/tmp/a' \"@/tmp/b\" >@/tmp/c"),
        ("${TMPDIR:-/tmp}", "${TMPDIR:-@/tmp}"),
        ("$(ls /tmp)", "$(ls @/tmp)"),
        ("/tmp", "@/tmp"),
        ("/tmpfiles /tmp.d /tmp-x /tmp_x", "/tmpfiles /tmp.d /tmp-x /tmp_x"),
        ("/var/tmp ./tmp ~/tmp ../tmp a/tmp", "/var/tmp ./tmp ~/tmp ../tmp a/tmp"),
        ("$HOME/tmp ${X}/tmp $(pwd)/tmp", "$HOME/tmp ${X}/tmp $(pwd)/tmp"),
        ("QUJD+/tmp/QUJD /tmp+QUJD", "QUJD+/tmp/QUJD /tmp+QUJD"),
    ],
)
def test_tmp_is_mapped(tmp_path, text, mapped):
    """A word that begins with /tmp is mapped; other paths and base64 text are left alone."""
    host = SandboxHost(tmp_path)
    assert host.map_paths(text) == mapped.replace("@", str(tmp_path))


def test_programs_come_first(tmp_path):
    """A program that was given is found before the machine's own of that name."""
    program = tmp_path / "uname"
    program.write_text("#!/bin/sh\necho given\n")
    program.chmod(0o755)
    with SsmEmulator({INSTANCE: SandboxHost(tmp_path / "instance", [program])}) as emulator:
        done = Bastion(emulator, tmp_path / "instance").run("uname")
    assert done["StandardOutputContent"] == "given\n"


def test_files_are_found_by_the_name_scripts_use(bastion):
    """A test looks at a file of the instance by the path that the script wrote."""
    bastion.run("mkdir -p /opt/app && echo v1 > /opt/app/version")
    assert bastion.aws.agents[bastion.instance_id].host.path("/opt/app/version").read_text() == "v1\n"


def test_a_path_that_bites_is_refused(tmp_path):
    """The sandbox's path stands unquoted in scripts."""
    with pytest.raises(ValueError, match="mean something to a shell"):
        SandboxHost(tmp_path / "a b")

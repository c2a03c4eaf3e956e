"""The sandbox maps /tmp, and nothing that only looks like it."""

from __future__ import annotations

import pytest

from etl_manager.emulator import SandboxHost
from etl_manager.errors import TargetError


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
    host = SandboxHost(tmp_path, tmp_path)
    assert host.mapped(text) == mapped.replace("@", str(tmp_path))


def test_psql_of_the_wheel_comes_first(bastion):
    """Psql on the bastion is the one given to the sandbox, whatever else the machine has."""
    assert bastion.run("command -v psql; psql --version")["StandardOutputContent"].startswith(
        f"{bastion.root}/usr/bin/psql\npsql (PostgreSQL) 16."
    )


def test_a_path_that_bites_is_refused(tmp_path):
    """The sandbox's path stands unquoted in scripts."""
    with pytest.raises(TargetError, match="mean something to a shell"):
        SandboxHost(tmp_path / "a b", tmp_path)

"""Who held a lock that was waited for in vain stands in the error, as the engine's log has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl_manager import config as configuration
from etl_manager.errors import SqlError
from etl_manager.progress import NullProgress
from etl_manager.provisioning.sql_runner import Part, PartResult, SqlRunner
from etl_manager.ssm.script import CommandResult, SqlFileResult

ROOT = Path(__file__).parents[3]
HOLDER = "waited 55 s for AccessShareLock on tenant_b.users, held by process 42 (x). Let it end, or end it: SELECT 1"
FILE = "sql/aurora/data/insert-sample-data.sql"
REFUSED = f"psql:{FILE}:3: ERROR:  canceling statement due to lock timeout\n"


class Bastion:
    """As much of a session as a failure names."""

    instance_id = "i-1"
    workspace_digest = ""


@pytest.mark.parametrize(("log", "told"), [(f"[LOCK] {HOLDER}\n", HOLDER), ("", None)])
def test_holder_stands_in_the_error(tmp_path, log, told):
    """The error's context has the lock; without such a line there is none."""
    (tmp_path / "config.json").write_text("{}")
    config = configuration.load(tmp_path / "config.json", ROOT)
    runner = SqlRunner(config, Bastion(), None, NullProgress(), lambda *_: None)  # type: ignore[arg-type]
    file = SqlFileResult(file=FILE, exit_code=3, seconds=60, stdout="", stderr=f"{REFUSED}{log}[ERROR] SQL error\n")
    command = CommandResult(
        command_id="c", instance_id="i-1", status="Failed", exit_status=3, stdout=b"", stderr="", seconds=60
    )
    with pytest.raises(SqlError, match="canceling statement due to lock timeout") as caught:
        runner.read("phase data", PartResult(Part("data", (FILE,)), command, [file]), "db")
    assert caught.value.context.get("lock") == told

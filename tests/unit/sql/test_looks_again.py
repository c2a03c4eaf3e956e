"""One psql looks more than once: each look tells what is there by then, as a psql of its own would."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from tests.support.engine import Bastion

CHANGES = "sql/aurora/tenant/changes"


def two_looks(bastion: Bastion, between: Callable[[], None]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what one psql tells before and after *between*."""
    pipe = bastion.runtime.parent / "next"
    os.mkfifo(pipe)
    engine = bastion.start_engine(bastion.INSPECTION, AURORA_NEXT=str(pipe))
    with pipe.open("w") as following:  # opened when the first look is over
        between()
        following.write(f"\\set look_again yes\n\\i {bastion.INSPECTION}\n")
    stdout, stderr = engine.communicate(timeout=60)
    assert engine.returncode == 0, stderr
    lines = [json.loads(line) for line in stdout.splitlines()]
    first_end = [line["kind"] for line in lines].index("end") + 1
    return lines[:first_end], lines[first_end:]


def test_what_changed_meanwhile_is_seen(built):
    """Rows, columns, schemas, owners and the ledger are read anew."""

    def between() -> None:
        built.break_things(
            "DELETE FROM tenant_a.users WHERE user_id = 3",
            "ALTER TABLE tenant_b.users ADD COLUMN note text",
            "DELETE FROM etl_manager.applied WHERE tenant = 'tenant_b'",
            "DROP SCHEMA tenant_c CASCADE",
            "CREATE SCHEMA tenant_x",
            "ALTER DATABASE " + built.database + " SET work_mem = '8MB'",
        )

    before, after = two_looks(built, between)
    assert [line for line in before if line["kind"] in {"finding", "stray_schema", "pending"}] == []
    assert {line["difference"] for line in after if line["kind"] == "finding"} >= {
        "sample-rows-missing", "column-extra", "change-pending", "schema-missing", "setting-extra",
    }  # fmt: skip
    assert after == built.inspect()


def test_isolation_is_looked_at_anew(built):
    """With the phase isolation switched on, what the roles of the tenants may do is."""
    built.configure(aurora={"databaseName": built.database, "phases": {"isolation": {}}})
    before, after = two_looks(built, lambda: built.break_things("GRANT USAGE ON SCHEMA tenant_a TO PUBLIC"))
    assert len([line for line in after if line["kind"] == "finding"]) > len(
        [line for line in before if line["kind"] == "finding"]
    )
    assert after == built.inspect()


def test_database_that_is_made_meanwhile(bastion):
    """Without a database the first look tells so; the second one goes where the database is by then."""
    before, after = two_looks(bastion, bastion.build)
    assert before[0]["exists"] is False
    assert after[0]["exists"] is True
    assert after == bastion.inspect()


def test_template_that_can_be_applied_by_then(built):
    """What the template makes is kept from the first look only where it could be made."""
    text = "CREATE TABLE notes (id integer PRIMARY KEY DEFAULT helpers.answer());\n"
    (built.workspace / CHANGES / "0002-notes.sql").write_text(text)

    def between() -> None:
        built.break_things(
            "CREATE SCHEMA helpers",
            "GRANT USAGE ON SCHEMA helpers TO PUBLIC",
            "CREATE FUNCTION helpers.answer() RETURNS integer RETURN 42",
        )

    before, after = two_looks(built, between)
    assert [line["possible"] for line in before if line["kind"] == "expectation"] == [False]
    assert [line["possible"] for line in after if line["kind"] == "expectation"] == [True]
    assert after == built.inspect()

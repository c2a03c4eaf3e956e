"""Making a cluster that is shaped like Aurora's: with a superuser of its own, and a master user who is none.

Source: Aurora User Guide, "Understanding the rds_superuser role".
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from etl_manager.errors import TargetError
from etl_manager.targets.postgres_binaries import Account

ADMIN = "rdsadmin"
"""The superuser, and the database that AWS keeps for itself."""

_GROUP = "rds_superuser"


@dataclass(frozen=True, kw_only=True)
class NewCluster:
    """What a cluster is made of.

    Attributes:
        bin_dir: Where ``initdb`` and ``postgres`` are.
        account: Who runs them; None is whoever runs the suite.
        environment: Their variables.
        master: The master user.
        password: The master user's.
        admin_password: The superuser's.
    """

    bin_dir: Path
    account: Account | None
    environment: dict[str, str]
    master: str
    password: str
    admin_password: str

    def make(self, data: Path) -> None:
        """Make it in *data*; where this is interrupted nothing is there, or something aside that the next one removes.

        Raises:
            TargetError: When the master's name is not to be had, or a program fails.
        """
        if is_reserved(self.master):
            raise TargetError(
                f"the master user cannot be {self.master!r}: that name is PostgreSQL's or Aurora's own",
                remedy="Correct aurora.masterUsername in config.json.",
            )
        part, password_file = data.with_name("data.part"), data.with_name("password.part")
        shutil.rmtree(part, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        part.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(self.admin_password)
        if self.account:
            os.chown(part, self.account.uid, self.account.gid)
            os.chown(password_file, self.account.uid, self.account.gid)
        try:
            self._run("initdb", "-D", part, "-U", ADMIN, f"--pwfile={password_file}", "--auth=scram-sha-256",
                      "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")  # fmt: skip
        finally:
            password_file.unlink()
        access = part / "pg_hba.conf"
        access.write_text(f"host {ADMIN} all all reject\n{access.read_text()}")
        # Single-user, since nobody is to connect to a cluster that is not whole. A line is a statement.
        self._run("postgres", "--single", "-F", "-c", "exit_on_error=on", "-D", part, "template1",
                  sql="".join(f"{statement}\n" for statement in self._statements()))  # fmt: skip
        part.rename(data)

    def _statements(self) -> list[str]:
        master = '"' + self.master.replace('"', '""') + '"'
        password = "'" + self.password.replace("'", "''") + "'"
        return [
            f"CREATE ROLE {_GROUP} NOLOGIN",
            "CREATE ROLE rds_replication NOLOGIN",
            f"GRANT pg_monitor, pg_signal_backend, rds_replication TO {_GROUP}",
            f"CREATE ROLE {master} LOGIN CREATEDB CREATEROLE PASSWORD {password} IN ROLE {_GROUP}",
            f"ALTER DATABASE postgres OWNER TO {master}",
            f"CREATE DATABASE {ADMIN}",
            f"REVOKE ALL ON DATABASE {ADMIN} FROM PUBLIC",
        ]

    def _run(self, program: str, *arguments: str | Path, sql: str = "") -> None:
        done = subprocess.run(
            [self.bin_dir / program, *arguments],
            check=False, capture_output=True, text=True, input=sql, start_new_session=True,
            cwd="/", env=self.environment, **(self.account.popen() if self.account else {}),
        )  # fmt: skip
        if done.returncode != 0:
            # A statement it shows may hold a password, in a spelling that no redaction knows.
            said = [line for line in done.stderr.splitlines() if "STATEMENT" not in line]
            raise TargetError(f"{program} failed", where={"exit": done.returncode}, remedy="\n".join(said[-20:]))


def is_reserved(name: str) -> bool:
    """Tell whether *name* is a role of PostgreSQL's or AWS's own, which no master user can have."""
    return name.startswith(("pg_", "rds_")) or name in {ADMIN, "public", "none"}

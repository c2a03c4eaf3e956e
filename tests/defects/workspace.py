"""Alterations of what is on the bastion: of the workspace, the run's folder, the archive's parts, and the config.json there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DATA, SCHEMA, ENGINE, CONFIG = (
    "sql/aurora/data/data.sql",
    "sql/aurora/schema/schema.sql",
    "scripts/2-sql-execute.sh",
    "config.json",
)
FORGED = "-- forged\n"
PLACE = "/tmp/workspace"
EDITED = "Edited by hand in {} on the bastion, and replaced by this project's files: "
LIST = "together with its list of digests, and replaced"
Alter = Callable[[Path], None]
"""Alters the workspace in a folder."""


@dataclass(frozen=True)
class Seed:
    """An alteration, and what the warning or the error of the next run holds; *refused*: nothing is run then."""

    alter: Alter
    told: str
    refused: bool = False


def write(name: str, text: str) -> Alter:
    """Put *text* in place of the file *name*, or beside the others."""

    def alter(workspace: Path) -> None:
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return alter


def delete(name: str) -> Alter:
    """Delete the file *name*."""
    return lambda workspace: (workspace / name).unlink()


def rename(name: str, other: str) -> Alter:
    """Give the file *name* another name."""

    def alter(workspace: Path) -> None:
        (workspace / name).rename(workspace / other)

    return alter


def together(*alters: Alter) -> Alter:
    """Do one after another."""

    def alter(workspace: Path) -> None:
        for each in alters:
            each(workspace)

    return alter


def configure(**changes: object) -> Alter:
    """Change the configuration there, as a person would with an editor."""

    def alter(workspace: Path) -> None:
        path = workspace / CONFIG
        there = json.loads(path.read_text())
        for key, value in changes.items():
            (there["aurora"] if key == "databaseName" else there)[key] = value
        path.write_text(json.dumps(there))

    return alter


def listed(alter: Alter) -> Alter:
    """Make the list of digests fit what *alter* did."""

    def both(workspace: Path) -> None:
        alter(workspace)
        files = [path for path in workspace.rglob("*") if path.is_file() and ".transfer" not in path.parts]
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.relative_to(workspace)}\n" for path in files
        ]
        (workspace / ".transfer/manifest").write_text("".join(lines))

    return both


def link(name: str, text: str | None) -> Alter:
    """Put a link in place of the file or folder *name*, to a copy of it, which then is made to hold *text*."""

    def alter(workspace: Path) -> None:
        path, elsewhere = workspace / name, workspace.parent / "elsewhere"
        shutil.rmtree(elsewhere, ignore_errors=True)
        elsewhere.mkdir()
        path.rename(elsewhere / "it")
        path.symlink_to(elsewhere / "it")
        if text is not None:
            (workspace / DATA).write_text(text)

    return alter


def special(name: str, kind: int) -> Alter:
    """Put a FIFO or a socket in place of the file *name*, or beside the others."""

    def alter(workspace: Path) -> None:
        (workspace / name).unlink(missing_ok=True)
        os.mknod(workspace / name, kind | 0o644)

    return alter


def device(name: str) -> Alter:
    """Put a link to a device that has no end in place of the file *name*."""

    def alter(workspace: Path) -> None:
        (workspace / name).unlink()
        (workspace / name).symlink_to("/dev/zero")

    return alter


def give_away(workspace: Path) -> None:
    """Let the folder belong to another user."""
    os.chown(workspace, 65534, -1)


def replace(workspace: Path) -> None:
    """Put somebody's own folder there."""
    shutil.rmtree(workspace)
    write("notes.txt", "mine")(workspace)


def replace_by_link(workspace: Path) -> None:
    """Put a link to a copy there."""
    elsewhere = workspace.parent / "elsewhere"
    workspace.rename(elsewhere)
    workspace.symlink_to(elsewhere)


def _named(file: str, alter: Alter, what: str = EDITED) -> Seed:
    return Seed(alter, what + file)


BEFORE: dict[str, Seed] = {
    "SQL file edited": _named(DATA, write(DATA, FORGED)),
    "SQL file emptied": _named(DATA, write(DATA, "")),
    "SQL file deleted": _named(DATA, delete(DATA)),
    "SQL file renamed": _named(f"{SCHEMA}, sql/x.sql", rename(SCHEMA, "sql/x.sql")),
    "two SQL files exchanged": _named(f"{DATA}, {SCHEMA}", together(rename(DATA, "x"), rename(SCHEMA, DATA), rename("x", SCHEMA))),
    "SQL file longer by a blank": _named(DATA, write(DATA, "-- data\n ")),
    "engine edited": _named(ENGINE, write(ENGINE, "#!/bin/bash\necho forged\n")),
    "engine deleted": _named(ENGINE, delete(ENGINE)),
    "file made a link to another content": _named(DATA, link(DATA, FORGED)),
    "file made a folder": _named(DATA, together(delete(DATA), lambda workspace: (workspace / DATA).mkdir())),
    "file made a FIFO": _named(DATA, special(DATA, stat.S_IFIFO)),
    "file made a socket": _named(CONFIG, special(CONFIG, stat.S_IFSOCK)),
    "file made a link to a device": _named(DATA, device(DATA)),
    "folder made a link to another content": _named(DATA, link("sql", FORGED)),
    "config.json: a tenant dropped": _named(CONFIG, configure(tenants=["tenant_a"])),
    "config.json: a tenant added": _named(CONFIG, configure(tenants=["tenant_a", "tenant_b", "tenant_x"])),
    "config.json: another database": _named(CONFIG, configure(databaseName="another")),
    "config.json: another file": _named(CONFIG, write(CONFIG, "{}")),
    "config.json deleted": _named(CONFIG, delete(CONFIG)),
    "SQL file edited, and its line in the list": Seed(listed(write(DATA, FORGED)), LIST),
    "SQL file deleted, and its line in the list": Seed(listed(delete(DATA)), LIST),
    "SQL file added, and a line in the list": Seed(listed(write("sql/x.sql", FORGED)), LIST),
    "engine edited, and its line in the list": Seed(listed(write(ENGINE, "echo forged\n")), LIST),
    "config.json: a tenant dropped, and its line in the list": Seed(listed(configure(tenants=["tenant_a"])), LIST),
    "config.json: another database, and its line in the list": Seed(listed(configure(databaseName="another")), LIST),
    "list of digests emptied": _named(CONFIG, write(".transfer/manifest", "")),
    "list of digests deleted": _named(CONFIG, delete(".transfer/manifest")),
    "list of digests made a FIFO": _named(CONFIG, special(".transfer/manifest", stat.S_IFIFO)),
    "list of digests made a link to a device": _named(CONFIG, device(".transfer/manifest")),
    "folder's mark made a FIFO": Seed(special(".transfer/digest", stat.S_IFIFO), "holds files that no run put there", refused=True),
    "folder's mark deleted": Seed(delete(".transfer/digest"), "holds files that no run put there", refused=True),
    "somebody's own folder in its place": Seed(replace, "holds files that no run put there", refused=True),
    "link in its place": Seed(replace_by_link, "is a symbolic link", refused=True),
    "folder of another user": Seed(give_away, "belongs to nobody, not to root", refused=True),
}  # fmt: skip
"""What was altered before a run of the same project → how, and what that run tells; then it runs its own files or none."""

DURING: dict[str, Alter] = {
    "SQL file edited": write(DATA, FORGED),
    "SQL file deleted": delete(DATA),
    "engine edited": write(ENGINE, "#!/bin/bash\necho forged\n"),
    "SQL file edited, and its line in the list": listed(write(DATA, FORGED)),
    "config.json: a tenant dropped": configure(tenants=["tenant_a"]),
    "config.json: another database": configure(databaseName="another"),
    "config.json: another database, and its line in the list": listed(configure(databaseName="another")),
    "digest of another project": write(".transfer/digest", "0" * 64),
    "digest emptied": write(".transfer/digest", ""),
    "list of digests deleted": delete(".transfer/manifest"),
    "list of digests made a FIFO": special(".transfer/manifest", stat.S_IFIFO),
    "file made a link to another content": link(DATA, FORGED),
    "file made a FIFO": special(DATA, stat.S_IFIFO),
    "file made a folder": together(delete(DATA), lambda workspace: (workspace / DATA).mkdir()),
    "file made a link to a device": device(CONFIG),
    "workspace deleted": shutil.rmtree,
}
"""What was altered between the look at the workspace and the SQL → how. The run puts its own archive there again."""

DURING_REFUSED: dict[str, Seed] = {
    "folder's mark made a FIFO": Seed(special(".transfer/digest", stat.S_IFIFO), "holds files that no run put there", refused=True),
    "somebody's own folder in its place": Seed(replace, "holds files that no run put there", refused=True),
    "folder of another user, with another content": Seed(together(write(DATA, FORGED), give_away), "belongs to nobody", refused=True),
    "link in its place, to another content": Seed(together(write(DATA, FORGED), replace_by_link), "is a symbolic link", refused=True),
}  # fmt: skip
"""As `DURING`, where the place cannot be taken any more."""

HELD: dict[str, Alter] = {
    "file made a link that leads elsewhere later": link(DATA, None),
    "folder made a link that leads elsewhere later": link("sql", None),
    "workspace made a link that leads elsewhere later": replace_by_link,
}
"""What still has the right content when a run copies its files, and another one right after."""

PARTS: dict[str, Callable[[Path], object]] = {
    "part cut": lambda part: part.write_bytes(part.read_bytes()[:-9]),
    "part emptied": lambda part: part.write_bytes(b""),
    "part deleted": lambda part: part.unlink(),
    "part made a FIFO": lambda part: (part.unlink(), os.mkfifo(part)),
    "part of another archive": lambda part: part.write_bytes(part.read_bytes()[::-1]),
    "parts exchanged": lambda part: part.write_bytes(part.with_name("2").read_bytes()),
}
"""What becomes of the archive's first part on the bastion, after the run has looked which are there → how."""

HARMLESS: dict[str, Alter] = {
    "a file beside those of the project": write("out.txt", "somebody's own\n"),
    "an SQL file beside those of the project": write("sql/aurora/data/more.sql", FORGED),
    "another time of a file": lambda workspace: os.utime(workspace / DATA, (1, 1)),
    "another mode of a file": lambda workspace: (workspace / DATA).chmod(0o755),
    "lines of the list in another order": lambda workspace: (workspace / ".transfer/manifest").write_text("".join(sorted((workspace / ".transfer/manifest").read_text().splitlines(keepends=True), reverse=True))),
    "a FIFO beside those of the project": special("out.fifo", stat.S_IFIFO),
    "an empty folder": lambda workspace: (workspace / "sql/empty").mkdir(),
}  # fmt: skip
"""What has no part in the result: nothing is told, nothing is transferred, and the run's own files are run."""

ACCEPTED = {
    "what `--skip-copy` runs: a workspace that is not this project's": (
        "that is what the option is for; the run warns, and there is no Ready verdict"
    ),
    "a workspace that is edited together with its list and its digest": (
        "it then is another project's: it is replaced without a warning, and nothing of it is run"
    ),
    "files beside those of the project in the workspace": (
        "commands of the user's may write there; SQL is run from a copy that holds the project's files only"
    ),
    "a bastion whose root, or whose user of the agent, works against the run": (
        "whatever the suite could ask there, it would answer; SECURITY.md tells what the verdict rests on"
    ),
}

"""The workspace on the bastion: what is there, whether it may be used, and how the archive gets there."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, replace

from etl_manager.bastion.archive import Archive
from etl_manager.bastion.script import facts
from etl_manager.errors import WorkspaceError

PSQL, OPENSSL = (11,), (1, 1, 1)
"""The oldest that do: psql 9 knows no \\if, 10 no :{?name}; openssl 1.0 opens no sealed handover (no -pbkdf2)."""


@dataclass(frozen=True, kw_only=True)
class BastionFacts:
    """What the first command of a run found on the bastion."""

    state: str
    owner: str
    user: str
    digest: str
    intact: bool
    parts: dict[int, str]
    psql: str
    json_reader: str
    openssl: str
    curl: str
    public_key: str

    @classmethod
    def read(cls, text: str) -> BastionFacts:
        """Read the output of ``open.sh``."""
        found = facts(text.partition("-----BEGIN")[0])

        def one(name: str) -> str:
            return found.get(name, [""])[0]

        parts = (part.split(":", 1) for part in found.get("part", []))
        return cls(
            state=one("workspace"),
            owner=one("owner"),
            user=one("user"),
            digest=one("digest"),
            intact=one("manifest") == "intact",
            parts={int(number): digest for number, digest in parts if number.isdigit()},
            psql=one("psql"),
            json_reader=one("json"),
            openssl=one("openssl"),
            curl=one("curl"),
            public_key="".join(text.partition("-----BEGIN")[1:]),
        )

    def now_holding(self, archive: Archive) -> BastionFacts:
        """Return the facts after *archive* was swapped in."""
        return replace(self, state="made", intact=True, digest=archive.digest, parts={})

    def holds(self, archive: Archive) -> bool:
        """Say whether the workspace is *archive*, unchanged."""
        return self.state == "made" and self.intact and self.digest == archive.digest


def check_tools(found: BastionFacts) -> None:
    """Refuse a bastion that cannot run the engine.

    Raises:
        WorkspaceError: It names each program that is missing or too old, and how to install it on Amazon Linux.
    """
    openssl = found.openssl if found.public_key else ""  # one that makes no key is none
    remedies = {
        "psql" if not found.psql else f"psql {PSQL[0]} or newer (it has {found.psql})": (
            _recent(found.psql, PSQL),
            "sudo dnf install -y postgresql16 (Amazon Linux 2: sudo amazon-linux-extras install -y postgresql14)",
        ),
        "jq or python3": (bool(found.json_reader), "sudo dnf install -y jq"),
        "openssl (1.1.1 or newer)" + (f" (it has {found.openssl})" if found.openssl else ""): (
            _recent(openssl, OPENSSL),
            "sudo dnf install -y openssl (Amazon Linux 2: sudo yum install -y openssl11)",
        ),
    }
    missing = {name: remedy for name, (usable, remedy) in remedies.items() if not usable}
    if missing:
        raise WorkspaceError(
            f"The bastion lacks {', '.join(missing)}",
            remedy="\n".join(f"On the bastion: {remedy}" for remedy in missing.values()),
        )


def _recent(version: str, least: tuple[int, ...]) -> bool:
    """Say whether the first number of *version*, as a program prints it, is *least* or newer."""
    number = re.search(r"\d+(?:\.\d+)*", version)
    return number is not None and tuple(map(int, number[0].split("."))) >= least


def check_usable(found: BastionFacts, path: str) -> None:
    """Refuse a workspace that is a link or another user's: what it leads to is not ours to replace.

    Raises:
        WorkspaceError: It says what is there and how to make room.
    """
    if found.state in {"link", "foreign"}:
        what = "is a symbolic link" if found.state == "link" else f"belongs to {found.owner}, not to {found.user}"
        raise WorkspaceError(
            f"The workspace {path} on the bastion {what}; it is left alone",
            remedy=f"Look at it (ls -ld {path}), move it away, or set bastion.workingDirectory in config.json.",
        )


def check_skipped_copy(found: BastionFacts, archive: Archive, path: str) -> list[str]:
    """Return the warnings of a run that uses the workspace as it is.

    Raises:
        WorkspaceError: When there is no workspace; the two warnings its users know come first.
    """
    if found.state == "absent":
        raise WorkspaceError(
            f"[WARNING] Workspace directory {path} does not exist on Bastion Host\n"
            "[WARNING] You may need to run without --skip-copy first to transfer files",
            remedy="Run again without --skip-copy, and with bastion.autoTransfer.enabled as it is by default.",
        )
    if not found.holds(archive):
        return [f"[WARNING] The workspace {path} on the bastion is not what this project holds now; using it as it is"]
    return []


@dataclass(frozen=True)
class Parts:
    """The archive cut into pieces that each fit one command; the numbers start at 1."""

    archive: Archive
    pieces: tuple[bytes, ...]

    @classmethod
    def cut(cls, archive: Archive, room: int) -> Parts:
        """Cut so that a piece takes at most *room* bytes as base64."""
        size = max(room // 4 * 3, 1)
        return cls(archive, tuple(archive.data[i : i + size] for i in range(0, len(archive.data), size)))

    def missing(self, there: dict[int, str]) -> list[int]:
        """Return the numbers of the pieces the bastion lacks; *there* maps numbers to SHA-256 digests."""
        return [
            number
            for number, piece in enumerate(self.pieces, start=1)
            if there.get(number) != hashlib.sha256(piece).hexdigest()
        ]

    def values(self) -> dict[str, str]:
        """Return what ``transfer.sh`` is given."""
        return {
            "DIGEST": self.archive.digest,
            "ARCHIVE_SHA256": hashlib.sha256(self.archive.data).hexdigest(),
            "PARTS": str(len(self.pieces)),
        }

    def receive(self, number: int) -> str:
        """Return the shell lines that take in piece *number*."""
        text = base64.b64encode(self.pieces[number - 1]).decode()
        return f"receive {number} <<'PART' || return\n{text}\nPART"

"""The workspace on the bastion: its state, whether it may be used, and the archive that fills it."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path

from etl_manager.config import Config, model
from etl_manager.errors import ConfigError, WorkspaceError
from etl_manager.project import path_of
from etl_manager.redaction import one_line
from etl_manager.ssm.script import facts, pack

PSQL, OPENSSL = (11,), (1, 1, 1)
"""The oldest that suffice: psql 9 knows no \\if, 10 no :{?name}; openssl 1.0 opens no sealed handover (no -pbkdf2)."""

MAX_EDITED = 20
"""Edited files that a warning names; ``open.sh`` reports one more."""


@dataclass(frozen=True, kw_only=True)
class BastionState:
    """What the first command of a run found on the bastion."""

    state: str
    owner: str
    user: str
    digest: str
    intact: bool
    edited: tuple[str, ...]
    parts: dict[int, str]
    psql: str
    json_reader: str
    openssl: str
    curl: str
    xz: str
    public_key: str

    @classmethod
    def read(cls, text: str) -> BastionState:
        """Read the output of ``open.sh``."""
        found = facts(text.partition("-----BEGIN")[0])

        def one(name: str) -> str:
            return found.get(name, [""])[0]

        parts = (part.partition(":") for part in found.get("part", []))
        return cls(
            state=one("workspace"),
            owner=one("owner"),
            user=one("user"),
            digest=one("digest"),
            intact=one("manifest") == "intact",
            edited=tuple(sorted(map(_printable, found.get("edited", [])))),
            parts={int(number): digest for number, _, digest in parts if re.fullmatch("[0-9]{1,9}", number)},
            psql=one("psql"),
            json_reader=one("json"),
            openssl=one("openssl"),
            curl=one("curl"),
            xz=one("xz"),
            public_key="".join(text.partition("-----BEGIN")[1:]),
        )

    def with_archive(self, archive: Archive) -> BastionState:
        """Return the state after *archive* was swapped in."""
        return replace(self, state="made", intact=True, edited=(), digest=archive.digest, parts={})

    def matches(self, archive: Archive) -> bool:
        """Return whether the workspace is *archive*, unchanged."""
        return self.state == "made" and self.intact and self.digest == archive.digest


def _printable(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name)


def check_tools(found: BastionState) -> None:
    """Refuse a bastion that cannot run the engine.

    Raises:
        WorkspaceError: It names each program that is missing or too old, and how to install it on Amazon Linux.
    """
    openssl = found.openssl if found.public_key else ""  # one that cannot make the key is of no use
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
            hint="\n".join(f"On the bastion: {remedy}" for remedy in missing.values()),
        )


def _recent(version: str, least: tuple[int, ...]) -> bool:
    """Say whether the first number of *version*, as a program prints it, is *least* or newer."""
    number = re.search(r"\d+(?:\.\d+)*", version)
    return number is not None and tuple(map(int, number[0].split("."))) >= least


def check_usable(found: BastionState, path: str, *, skip_copy: bool) -> None:
    """Refuse a workspace that no run made: a link, another user's, or one with files of somebody's own.

    With *skip_copy* nothing is put there, and files of one's own may be used.

    Raises:
        WorkspaceError: It says what is there and what to do.
    """
    reasons = {
        "link": "is a symbolic link",
        "foreign": f"belongs to {found.owner}, not to {found.user}",
        "unknown": "holds files that no run put there",
    }
    what = reasons.get(found.state)
    if what and not (skip_copy and found.state == "unknown"):
        raise WorkspaceError(
            f"The workspace {path} on the bastion {what}; it is left alone",
            hint=f"Look at it (ls -ld {path}), move it away, or set bastion.workingDirectory in config.json.",
        )


def check_skipped_copy(found: BastionState, archive: Archive, path: str) -> list[str]:
    """Return the warnings of a run that uses the workspace as it is.

    Raises:
        WorkspaceError: When there is no workspace; its message begins with two warnings that people know.
    """
    if found.state in {"absent", "empty"}:
        raise WorkspaceError(
            f"[WARNING] Workspace directory {path} does not exist on Bastion Host\n"
            "[WARNING] You may need to run without --skip-copy first to transfer files",
            hint="Run again without --skip-copy, and with bastion.autoTransfer.enabled as it is by default.",
        )
    if not found.matches(archive):
        return [f"[WARNING] The workspace {path} on the bastion is not what this project holds now; using it as it is"]
    return []


def check_edits(found: BastionState, archive: Archive, path: str) -> list[str]:
    """Return the warnings of a run that replaces the workspace: files that were edited on the bastion are lost."""
    if not found.edited:
        # It says that it is this archive, and agrees with its own list: that list is not this archive's.
        forged = found.state == "made" and found.digest == archive.digest and not found.intact
        what = f"[WARNING] Edited by hand in {path} on the bastion together with its list of digests, and replaced"
        return [what] if forged else []
    more = " and more" if len(found.edited) > MAX_EDITED else ""
    files = ", ".join(found.edited[:MAX_EDITED])
    return [f"[WARNING] Edited by hand in {path} on the bastion, and replaced by this project's files: {files}{more}"]


@dataclass(frozen=True)
class ArchiveChunks:
    """The archive cut into pieces that each fit one command; the numbers start at 1."""

    archive: Archive
    pieces: tuple[bytes, ...]

    @classmethod
    def cut(cls, archive: Archive, room: int, encoding: str = "gzip") -> ArchiveChunks:
        """Cut so that a piece takes at most *room* bytes as base64."""
        size, packed = max(room // 4 * 3, 1), archive.packed(encoding)
        return cls(archive, tuple(packed[i : i + size] for i in range(0, len(packed), size)))

    @property
    def packed(self) -> bytes:
        """All pieces together."""
        return b"".join(self.pieces)

    def missing(self, there: dict[int, str]) -> list[int]:
        """Return the numbers of the pieces the bastion lacks; *there* maps numbers to SHA-256 digests."""
        return [
            number
            for number, piece in enumerate(self.pieces, start=1)
            if there.get(number) != hashlib.sha256(piece).hexdigest()
        ]

    def values(self) -> dict[str, str]:
        """Return the variables of ``transfer.sh``."""
        return {
            **self.archive.values(),
            "ARCHIVE_SHA256": hashlib.sha256(self.packed).hexdigest(),
            "PARTS": str(len(self.pieces)),
        }

    def receive(self, number: int) -> str:
        """Return the shell lines that take in piece *number*."""
        text = base64.b64encode(self.pieces[number - 1]).decode()
        return f"receive {number} <<'PART' || return\n{text}\nPART"


CONFIG_NAME = "config.json"
"""Under this name the run's configuration reaches the bastion, resolved, whatever file ``--config-json`` named."""


@dataclass(frozen=True)
class Archive:
    """A tar and its SHA-256: versions of zlib and liblzma compress differently, the tar stays the same.

    Attributes:
        level: How hard it is packed, 1 to 9.
        manifest: The SHA-256 of the sorted lines that ``sha256sum`` prints of its files.
    """

    digest: str
    tar: bytes
    level: int
    names: tuple[str, ...]
    manifest: str

    def packed(self, encoding: str = "gzip") -> bytes:
        """Return it packed, by ``gzip`` or ``xz``."""
        return pack(encoding, self.tar, self.level)

    def values(self) -> dict[str, str]:
        """Return the variables by which the bastion knows it."""
        return {"DIGEST": self.digest, "MANIFEST": self.manifest}


def build(config: Config) -> Archive:
    """Pack what a run needs, what ``autoTransfer`` adds to that, the CA bundle and the configuration.

    The engine's files are those of the package, all others those of the project.

    Raises:
        ConfigError: When a file cannot be read or sent, leads out of the project by a link, or is a script with CRLF.
    """
    tar = io.BytesIO()
    names, lines = [], []
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(_contents(config).items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            try:
                archive.addfile(entry, io.BytesIO(content))
            except ValueError as error:  # of tarfile's USTAR: 100 bytes, and 155 of folders
                raise ConfigError(
                    f"{one_line(name)} cannot be sent: {error}", hint="Shorten it, or leave it out."
                ) from error
            names.append(name)
            lines.append(f"{hashlib.sha256(content).hexdigest()}  ./{name}\n".encode())
    manifest = hashlib.sha256(b"".join(sorted(lines))).hexdigest()
    data = tar.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    return Archive(
        digest=digest, tar=data, level=config.transfer.compression_level, names=tuple(names), manifest=manifest
    )


def _contents(config: Config) -> dict[str, bytes]:
    root = config.root.resolve()
    contents: dict[str, bytes] = {}
    for index, directory in enumerate(config.transfer.directories):
        key = f"{config.transfer_key}.directories[{index}]"
        for path in sorted((root / directory).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and not model.excluded(name, config.transfer.exclude_patterns):
                contents[name] = _read(root, name, key)
    for index, name in enumerate(config.transfer.files):
        if name != CONFIG_NAME:
            contents[name] = _read(root, name, f"{config.transfer_key}.files[{index}]")
    for name in model.needed(root, [phase.name for phase in config.phases]):
        contents[name] = _read(root, name, "needed by every run")
    if config.aurora.ca_bundle:
        contents[config.aurora.ca_bundle] = _read(root, config.aurora.ca_bundle, "aurora.caBundle")
    contents[CONFIG_NAME] = config.resolved()
    for name, content in contents.items():
        _check_name(name)
        if name.endswith(".sh"):
            check_line_ends(name, content)
    return contents


def _check_name(name: str) -> None:
    """Refuse a name that sha256sum writes in a way of its own, and the bastion's list of digests so has otherwise."""
    if "\\" in name or one_line(name) != name:
        raise ConfigError(
            f"{one_line(name)} cannot be sent: its name holds a backslash, or a character that cannot be seen",
            hint="Rename it, or leave it out by excludePatterns.",
        )


def check_line_ends(name: str, content: bytes) -> None:
    """Refuse a shell script with Windows' line ends: bash takes the carriage return for a part of each command.

    Raises:
        ConfigError: It says how the file is mended.
    """
    if content.partition(b"\n")[0].endswith(b"\r"):
        raise ConfigError(
            f"{name} has Windows line ends (CRLF), and bash cannot run it",
            hint=(
                f"Convert it: sed -i 's/\\r$//' {name}\n"
                "In a checkout that git converted: git config core.autocrlf input, then git rm -rq --cached . && git reset --hard"
            ),
        )


def _read(root: Path, name: str, key: str) -> bytes:
    path = path_of(root, name)
    if path == root / name and not path.resolve().is_relative_to(root):
        raise ConfigError(f"{key}: {name} leads out of the project: {path.resolve()}")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{key}: {name} is no file", hint="A folder, a FIFO or a device cannot be sent.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: cannot read {name}: {error.strerror}") from error

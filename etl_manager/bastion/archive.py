"""The archive that becomes the workspace on the bastion: the same files give the same bytes, named by their digest."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

from etl_manager import config_transfer
from etl_manager.config import Config
from etl_manager.errors import ConfigError

CONFIG_NAME = "config.json"
"""Under this name the run's configuration reaches the bastion, whatever file ``--config-json`` named."""


@dataclass(frozen=True)
class Archive:
    """A tar.gz and the SHA-256 of the tar inside: zlib's versions compress differently, the tar stays the same."""

    digest: str
    data: bytes
    names: tuple[str, ...]


def build(config: Config) -> Archive:
    """Pack what a run needs, what ``autoTransfer`` adds to that, the CA bundle and the configuration.

    Raises:
        ConfigError: When a file cannot be read, leads out of the project by a link, or is a script with CRLF.
    """
    tar = io.BytesIO()
    names = []
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(_contents(config).items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(entry, io.BytesIO(content))
            names.append(name)
    data = gzip.compress(tar.getvalue(), config.transfer.compression_level, mtime=0)
    return Archive(digest=hashlib.sha256(tar.getvalue()).hexdigest(), data=data, names=tuple(names))


def _contents(config: Config) -> dict[str, bytes]:
    root = config.root.resolve()
    contents: dict[str, bytes] = {}
    for index, directory in enumerate(config.transfer.directories):
        key = f"{config.transfer_key}.directories[{index}]"
        for path in sorted((root / directory).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and not config_transfer.excluded(name, config.transfer.exclude_patterns):
                contents[name] = _read(path, root, key)
    for index, name in enumerate(config.transfer.files):
        if name != CONFIG_NAME:
            contents[name] = _read(root / name, root, f"{config.transfer_key}.files[{index}]")
    for name in config_transfer.needed(root, [phase.name for phase in config.phases]):
        contents[name] = _read(root / name, root, "needed by every run")
    if config.ca_bundle:
        contents[config.ca_bundle] = _read(root / config.ca_bundle, root, "aurora.caBundle")
    contents[CONFIG_NAME] = config.raw
    for name, content in contents.items():
        if name.endswith(".sh"):
            check_line_ends(name, content)
    return contents


def check_line_ends(name: str, content: bytes) -> None:
    """Refuse a shell script with Windows' line ends: bash takes the carriage return for a part of each command.

    Raises:
        ConfigError: It says how the file is mended.
    """
    if content.partition(b"\n")[0].endswith(b"\r"):
        raise ConfigError(
            f"{name} has Windows line ends (CRLF), and bash cannot run it",
            remedy=(
                f"Convert it: sed -i 's/\\r$//' {name}\n"
                "In a checkout that git converted: git config core.autocrlf input, then git rm -rq --cached . && git reset --hard"
            ),
        )


def _read(path: Path, root: Path, key: str) -> bytes:
    if not path.resolve().is_relative_to(root):
        raise ConfigError(f"{key}: {path.relative_to(root)} leads out of the project: {path.resolve()}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: cannot read {path.relative_to(root)}: {error.strerror}") from error

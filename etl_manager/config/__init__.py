"""The configuration of a run: read once from ``config.json``, checked whole, never changed.

Every problem of the file is reported at once, each with its JSON path.
"""

from __future__ import annotations

from pathlib import Path

from etl_manager.config.model import Config, Phase
from etl_manager.config.validation import parse
from etl_manager.errors import ConfigError
from etl_manager.project import altered_engine_files

__all__ = ["Config", "Phase", "load"]


def load(path: Path, root: Path) -> Config:
    """Read and check *path*; *root* is the project's folder, which holds ``sql/``.

    Raises:
        ConfigError: When the file cannot be read or used; the message lists every problem with its JSON path. Also when
            the project holds another version of a file of the engine's, which would not be the one that runs.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"Cannot read the configuration: {error.strerror}",
            context={"file": path},
            hint="Name the file with --config-json FILE.",
        ) from error
    config = parse(path, raw, root)
    if altered := altered_engine_files(root):
        raise ConfigError(
            f"The project holds its own version of files that come with etl-manager: {', '.join(altered)}",
            context={"project": root},
            hint=f"Remove them (git rm {' '.join(altered)}): the package sends its own. What you changed there belongs "
            "into a file of another name.",
        )
    return config

"""Where the files of a project are: in its own folder, and, as the package brings them, in the package."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).resolve().with_name("project")
"""Where a wheel has them; in a checkout they are the checkout itself."""
PACKAGED = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[1]
"""The folder with features, steps, SQL, the engine and the images' files as the package brings them."""


def root_of(config: Path) -> Path:
    """Return the project's folder for the file *config*: its own folder, else the working directory.

    A checkout's own command also works from elsewhere, with a configuration from elsewhere.
    """
    for folder in (config.absolute().parent, Path.cwd()):
        if (folder / "sql/aurora").is_dir():
            return folder
    return config.absolute().parent if _INSTALLED.is_dir() else PACKAGED

"""The files of a project: a team's own, and those that come with the package and are upgraded with it."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).with_name("project")
"""Where a wheel has them; in a checkout they are the checkout itself."""
PACKAGED = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[1]
"""The folder with features, steps, SQL, the engine and the images' files as the package brings them."""
ENGINE = ("scripts", "sql/shared", "sql/aurora/inspection")
"""What the suite itself runs on the bastion: a project need not have it, and `init` writes none of it."""


def root_of(config: Path) -> Path:
    """Return the project's folder for the file *config*: its own folder, else the working directory.

    A checkout's own command also works from elsewhere, with a configuration from elsewhere.
    """
    for folder in (config.absolute().parent, Path.cwd()):
        if (folder / "sql/aurora").is_dir():
            return folder
    return config.absolute().parent if _INSTALLED.is_dir() else PACKAGED


def locate(root: Path, name: str) -> Path:
    """Return the file *name* of the project in *root*: its own, else the package's; it may be in neither."""
    own = root / name
    return own if own.exists() or not name.startswith(ENGINE) else PACKAGED / name

"""The preflight: one table of what a run needs, checked before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from etl_manager.errors import DiscoveryError, ProvisioningError

SUBJECTS = ("caller", "region", "stack", "endpoint", "secret", "bastion", "psql", "PostgreSQL")
"""The rows of the table, in order."""
NOT_CHECKED = "not looked at"


@dataclass
class Check:
    """One line of the table: what was *found*, or the *error*."""

    found: str = NOT_CHECKED
    error: ProvisioningError | None = None


class Preflight:
    """Collects what was found and what is missing, so that one error names all of it."""

    def __init__(self) -> None:
        self.rows = {subject: Check() for subject in SUBJECTS}

    @contextmanager
    def row(self, subject: str) -> Iterator[Check]:
        """Give the row of *subject* to fill in; a `ProvisioningError` is kept in it until `check`."""
        row = self.rows[subject]
        try:
            yield row
        except ProvisioningError as error:
            row.error = error
            row.found = "MISSING: " + error.message.splitlines()[0].removeprefix("[ERROR] ")

    def check(self) -> None:
        """Raise what is missing.

        Raises:
            ProvisioningError: The one error there was.
            DiscoveryError: All of them, with all remedies.
        """
        errors = [row.error for row in self.rows.values() if row.error]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            first, *others = errors
            where = {name: value for error in reversed(errors) for name, value in error.context.items()}
            raise DiscoveryError(
                "\n".join([first.message, *(f"also: {error.message}" for error in others)]),
                context=where,
                hint="\n".join(error.hint for error in errors),
            )

    def lines(self, title: str) -> list[str]:
        """Return the table."""
        return [f"preflight: {title}", *(f"  {subject:<10}  {row.found}" for subject, row in self.rows.items())]

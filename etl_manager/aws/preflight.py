"""The preflight: what a run stands on, looked at before anything is changed, and shown in one table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from etl_manager.errors import DiscoveryError, ProvisioningError

SUBJECTS = ("caller", "region", "stack", "endpoint", "secret", "bastion", "psql", "PostgreSQL")
"""What is looked at, in the order of the table."""
NOT_LOOKED_AT = "not looked at"


@dataclass
class Check:
    """One line of the table: what was *found*, or the *trouble* with it."""

    found: str = NOT_LOOKED_AT
    trouble: ProvisioningError | None = None


class Preflight:
    """Collects what was found, and what is missing: all of it is told at once."""

    def __init__(self) -> None:
        self.rows = {subject: Check() for subject in SUBJECTS}

    @contextmanager
    def row(self, subject: str) -> Iterator[Check]:
        """Give the row of *subject* to fill in; an error of the suite's own is kept in it, and is raised by `check`."""
        row = self.rows[subject]
        try:
            yield row
        except ProvisioningError as error:
            row.trouble = error
            row.found = "MISSING: " + error.message.splitlines()[0].removeprefix("[ERROR] ")

    def check(self) -> None:
        """Stop where something is missing.

        Raises:
            ProvisioningError: The one trouble there was.
            DiscoveryError: All of them, with all there is to do.
        """
        troubles = [row.trouble for row in self.rows.values() if row.trouble]
        if len(troubles) == 1:
            raise troubles[0]
        if troubles:
            first, *others = troubles
            where = {name: value for trouble in reversed(troubles) for name, value in trouble.context.items()}
            raise DiscoveryError(
                "\n".join([first.message, *(f"also: {trouble.message}" for trouble in others)]),
                context=where,
                hint="\n".join(trouble.hint for trouble in troubles),
            )

    def lines(self, title: str) -> list[str]:
        """Return the table."""
        return [f"preflight: {title}", *(f"  {subject:<10}  {row.found}" for subject, row in self.rows.items())]

"""What ended a part of the run: it is remembered, so that the part is never begun a second time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from etl_manager.errors import PhaseNotRun, ProvisioningError


class Failures:
    """The parts of one run that did not come to their end, each with what ended it."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ended: dict[str, BaseException] = {}

    def __contains__(self, part: str) -> bool:
        """Return whether *part* was ended."""
        return part in self._ended

    @contextmanager
    def once(self, part: str) -> Iterator[None]:
        """Do *part*, which a failure ends for the whole run: whoever comes later is told, and nothing is sent again.

        An interrupt counts as well (a plugin's timeout is one): what it left half done may not be repeated unseen.

        Raises:
            PhaseNotRun: When *part* was ended before; its cause is what ended it.
        """
        if part in self._ended:
            error = self._ended[part]
            how = "failed" if isinstance(error, Exception) else "was interrupted"
            raise PhaseNotRun(part, reason(error), how=how) from error
        try:
            yield
        except BaseException as error:
            self._ended[part] = error
            raise


def reason(error: BaseException) -> str:
    """Return the first line of what *error* says; one that the suite does not know is named by its type."""
    if isinstance(error, ProvisioningError):
        return error.what.splitlines()[0]
    first = next(iter(str(error).splitlines()), "")
    return f"{type(error).__name__}: {first}" if isinstance(error, Exception) else first

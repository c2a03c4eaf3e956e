"""Writes down the scenario that runs: its steps, what ran in them, and how it ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Literal

import allure_commons
import attr
from allure_commons.model2 import (
    ATTACHMENT_PATTERN,
    Attachment,
    Label,
    Link,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
    TestStepResult,
)
from allure_commons.utils import now, uuid4
from allure_pytest.utils import get_status

from etl_manager.errors import NotApplicable, PhaseNotRun, ProvisioningError, SqlError, VerificationError
from etl_manager.provenance import Source
from etl_manager.redaction import redact
from etl_manager.report import kinds

Kind = Literal["text", "sql", "csv", "json"]

LIMIT = 64 * 1024
"""The most bytes of an attachment that are kept."""

_TYPES: dict[Kind, tuple[str, str]] = {
    # Allure shows these media types in the page; any other could only be downloaded.
    "text": ("text/plain", "txt"),
    "sql": ("text/plain", "sql"),
    "csv": ("text/csv", "csv"),
    "json": ("application/json", "json"),
}


@attr.s(auto_attribs=True)
class ComparedDetails(StatusDetails):
    """Why something failed, with both sides: Allure 3 shows their difference."""

    expected: str | None = None
    actual: str | None = None


class Recorder:
    """Writes down the scenario that runs. There is one at a time."""

    def __init__(self, current: Callable[[], TestResult], source: Source) -> None:
        """Record into the result that *current* returns; *source* is what is run."""
        self._current = current
        self._source = source
        self._step: TestStepResult | None = None

    def name(self, title: str, row: Mapping[str, str], place: tuple[str, int]) -> None:
        """Give the running test its *title*, its *row* of the Examples table, and the *place* it is written at."""
        result = self._current()
        result.name = title
        result.parameters = [Parameter(name=column, value=value) for column, value in row.items()]
        if "tenant" in row:
            result.labels.append(Label(name="tenant", value=row["tenant"]))
        path, line = place
        note = f"Source: `{path}:{line}` at commit `{self._source}`"
        result.description = f"{result.description}\n\n{note}" if result.description else note
        self._link(path, line)

    def begin_step(self, title: str) -> None:
        """Open the step *title*; what is attached from now on belongs to it."""
        self._step = TestStepResult(name=title, start=now())
        self._current().steps.append(self._step)

    def end_step(self, error: BaseException | None = None) -> None:
        """Close the open step, if one is open: *error* is what ended it."""
        if self._step is None:
            return
        self._step.stop = now()
        self._step.status = _status(error)
        if error is not None:
            self._step.statusDetails = _details(error)
            self._attach_facts(error)
            # An interrupted test gets no report: it would keep the status of its set-up, which passed.
            self._current().status = self._step.status
        self._step = None

    def skip_step(self, title: str) -> None:
        """Write down a step that did not run because one before it did not pass."""
        at = now()
        self._current().steps.append(TestStepResult(name=title, start=at, stop=at, status=Status.SKIPPED))

    def judge(self, error: BaseException, details: str) -> None:
        """Say how the running test ended: *failed* is the database's fault, *broken* what the suite stands on."""
        result = self._current()
        result.status = _status(error)
        kind = kinds.kind_of(error, failed=result.status == Status.FAILED)
        result.statusDetails = _details(error, None if result.status == Status.SKIPPED else kinds.marked(details, kind))

    def attach(self, name: str, content: str, kind: Kind) -> None:
        """Attach *content* to the open step, or to the test between steps; SQL is linked to its source as well."""
        media_type, extension = _TYPES[kind]
        whole = redact(content).encode()
        body = whole
        if len(whole) > LIMIT:
            digest = hashlib.sha256(whole).hexdigest()
            note = f"\n[cut: {LIMIT} of {len(whole)} bytes; SHA-256 of the whole: {digest}]\n"
            body = whole[:LIMIT].decode(errors="ignore").encode() + note.encode()
            media_type, extension = _TYPES["text"]
        file_name = ATTACHMENT_PATTERN.format(prefix=uuid4(), ext=extension)
        owner = self._step or self._current()
        if owner is not None:
            owner.attachments.append(Attachment(name=name, source=file_name, type=media_type))
            allure_commons.plugin_manager.hook.report_attached_data(body=body, file_name=file_name)
            if kind == "sql":
                self._link(name)

    def _attach_facts(self, error: BaseException) -> None:
        """Attach what is known of a failure that has no output to show, such as the SSM command it happened in."""
        if isinstance(error, ProvisioningError) and error.where and _status(error) != Status.SKIPPED:
            facts = {"what": error.what, **error.where, "next": error.remedy}
            self.attach("facts of the failure", json.dumps(facts, indent=2, default=str, ensure_ascii=False), "json")

    def _link(self, path: str, line: int | None = None) -> None:
        result, url = self._current(), self._source.link(path, line)
        if url and all(link.url != url for link in result.links):
            result.links.append(Link(type="link", url=url, name=f"{path} at {self._source.commit[:12]}"))


def _status(error: BaseException | None) -> str:
    """Return Allure's word: a claim about the database that does not hold is *failed*, other trouble *broken*."""
    if isinstance(error, PhaseNotRun | NotApplicable):
        return str(Status.SKIPPED)
    if isinstance(error, SqlError | VerificationError):
        return str(Status.FAILED)
    return str(get_status(error))


def _details(error: BaseException, trace: str | None = None) -> StatusDetails:
    """Return why it ended: what was expected and found comes first where *error* knows both."""
    message = _message(error)
    expected, found = getattr(error, "expected", None), getattr(error, "found", None)
    if expected is None or found is None:
        return StatusDetails(message=message, trace=trace)
    return ComparedDetails(message=message, trace=trace, expected=str(expected), actual=str(found))


def _message(error: BaseException) -> str:
    """Return what *error* says; a kind of error that does not speak for itself is named."""
    if (isinstance(error, ProvisioningError | AssertionError) or get_status(error) == Status.FAILED) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"

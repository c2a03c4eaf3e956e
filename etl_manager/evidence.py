"""Evidence for reviewers: each Gherkin step is an Allure step, with what ran attached to the step that ran it.

This is the only room that knows Allure. It is harmless where no results are written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import allure
import allure_commons
import attr
from allure_commons.model2 import (
    ATTACHMENT_PATTERN,
    Attachment,
    Label,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
    TestStepResult,
)
from allure_commons.utils import now, uuid4
from allure_pytest.listener import AllureListener
from allure_pytest.utils import get_status

from etl_manager.errors import NotApplicable, PhaseNotRun, ProvisioningError, SqlError, VerificationError
from etl_manager.redaction import redact

Kind = Literal["text", "sql", "csv", "json"]
Function = TypeVar("Function", bound=Callable[..., object])

LIMIT = 64 * 1024
"""The most bytes of an attachment that are kept."""

_TYPES: dict[Kind, tuple[str, str]] = {
    # Allure shows these media types in the page; any other could only be downloaded.
    "text": ("text/plain", "txt"),
    "sql": ("text/plain", "sql"),
    "csv": ("text/csv", "csv"),
    "json": ("application/json", "json"),
}


def attach(name: str, content: str, kind: Kind = "text") -> None:
    """Attach *content* to the running step; without secrets, and at most `LIMIT` bytes with the digest of the whole."""
    if _recorder is not None:
        _recorder.attach(name, content, kind)


def describe(function: Function, *, feature: str, story: str, description: str) -> Function:
    """Return *function*, the test of a scenario, labelled for the report.

    It is done at collection, so that a scenario whose set-up fails is filed where it belongs all the same.
    """
    for decorate in (allure.feature(feature), allure.story(story), allure.description(description)):
        function = decorate(function)
    return function


class Recorder:
    """Writes down the scenario that runs. There is one at a time."""

    def __init__(self, current: Callable[[], TestResult]) -> None:
        """Record into the result that *current* returns."""
        self._current = current
        self._step: TestStepResult | None = None

    def name(self, title: str, row: Mapping[str, str]) -> None:
        """Give the running test its *title* and the columns of its *row* of the Examples table."""
        result = self._current()
        result.name = title
        result.parameters = [Parameter(name=column, value=value) for column, value in row.items()]
        if "tenant" in row:
            result.labels.append(Label(name="tenant", value=row["tenant"]))

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
            self._step.statusDetails = StatusDetails(message=_message(error))
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
        trace = None if result.status == Status.SKIPPED else details
        result.statusDetails = StatusDetails(message=_message(error), trace=trace)

    def attach(self, name: str, content: str, kind: Kind) -> None:
        """Attach *content* to the open step, or to the test between steps."""
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


_recorder: Recorder | None = None


def _status(error: BaseException | None) -> str:
    """Return Allure's word: a claim about the database that does not hold is *failed*, other trouble *broken*."""
    if isinstance(error, PhaseNotRun | NotApplicable):
        return str(Status.SKIPPED)
    if isinstance(error, SqlError | VerificationError):
        return str(Status.FAILED)
    return str(get_status(error))


def _message(error: BaseException) -> str:
    """Return what *error* says; a kind of error that does not speak for itself is named."""
    if isinstance(error, ProvisioningError | AssertionError) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"


def start(config: Any, directory: Path, *, clean: bool) -> Recorder:
    """Write Allure results into *directory* until pytest's *config* is done with; *clean* empties it first."""
    global _recorder  # noqa: PLW0603 - library code attaches without knowing whether a report is written
    if clean:
        shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    listener = AllureListener(config)
    config.pluginmanager.register(listener, "allure_listener")
    for plugin in (listener, ResultWriter(directory)):
        allure_commons.plugin_manager.register(plugin)
        config.add_cleanup(partial(allure_commons.plugin_manager.unregister, plugin))
    _recorder = Recorder(lambda: listener.allure_logger.get_test(None))
    config.add_cleanup(_stop)
    return _recorder


def _stop() -> None:
    global _recorder  # noqa: PLW0603
    _recorder = None


class ResultWriter:
    """Writes Allure's files, each whole or not at all, and none with a secret in it.

    Containers are left out: they tell of fixtures, and every Gherkin step would be one, 7 files of 8.
    """

    def __init__(self, directory: Path) -> None:
        """Write into *directory*."""
        self._directory = directory

    @allure_commons.hookimpl
    def report_result(self, result: TestResult) -> None:
        """Write *result*."""
        data = attr.asdict(result, filter=lambda _, value: value or value is False)
        text = json.dumps(_redacted(data), ensure_ascii=False)
        self._write(result.file_pattern.format(prefix=result.uuid), text.encode())

    @allure_commons.hookimpl
    def report_attached_data(self, body: str | bytes, file_name: str) -> None:
        """Write an attachment."""
        text = body if isinstance(body, str) else body.decode(errors="surrogateescape")
        self._write(file_name, redact(text).encode(errors="surrogateescape"))

    @allure_commons.hookimpl
    def report_attached_file(self, source: str, file_name: str) -> None:
        """Write an attachment that is a file already."""
        self.report_attached_data(Path(source).read_bytes(), file_name)

    def _write(self, name: str, body: bytes) -> None:
        unfinished = self._directory / f"{name}.tmp"
        unfinished.write_bytes(body)
        unfinished.replace(self._directory / name)


def _redacted(data: Any) -> Any:
    """Return *data* with every text in it redacted."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, dict):
        return {key: _redacted(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_redacted(value) for value in data]
    return data

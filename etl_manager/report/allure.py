"""Allure's files on disk: each whole or not at all, and none with a secret in it."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

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
from allure_commons.utils import md5, now, uuid4
from allure_pytest.listener import AllureListener
from allure_pytest.utils import get_status

from etl_manager import errors
from etl_manager.errors import NotApplicable, PhaseSkipped, ProvisioningError, SqlError, VerificationError
from etl_manager.git import Repository
from etl_manager.redaction import redact, redact_all
from etl_manager.report import labels
from etl_manager.report.labels import EPIC, describe, groups, write_categories, write_executor
from etl_manager.report.results import PROOF, ScenarioId


class ResultWriter:
    """Writes Allure's files.

    Containers are left out: they tell of fixtures, and every Gherkin step would be one, 7 files of 8.
    """

    def __init__(self, directory: Path) -> None:
        """Write into *directory*."""
        self._directory = directory

    @allure_commons.hookimpl
    def report_result(self, result: TestResult) -> None:
        """Write *result*."""
        data = attr.asdict(result, filter=lambda _, value: value not in (None, []))  # an empty cell is a value
        text = json.dumps(redact_all(data), ensure_ascii=False)
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


Kind = Literal["text", "sql", "csv", "json"]

LIMIT = 64 * 1024
"""The most bytes of an attachment that are kept."""

EXAMPLE = "_pytest_bdd_example"
"""The parameter by which pytest-bdd gives a test its row."""

COMMAND = "SSM command of "
"""How the facts of an SSM command are named: a proof that fails later, on what it found, gets them too."""

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

    def __init__(self, current: Callable[[], TestResult], source: Repository, groups: Mapping[str, str]) -> None:
        """Record into the result that *current* returns.

        Args:
            current: Gives the result of the scenario that runs.
            source: What is run.
            groups: Tenant → the group it is filed in, where there are many.
        """
        self._current = current
        self._source = source
        self._groups = groups
        self._proof = ScenarioId("", "")
        self._step: TestStepResult | None = None
        self._command: tuple[str, str, TestResult] | None = None

    def name(self, title: str, proof: ScenarioId, place: tuple[str, int]) -> None:
        """Give the running test its *title*, what it is the *proof* of, and the *place* it is written at.

        Allure makes file, name and parameters of the node id, in which a cell may look like a part of it.
        """
        result, row = self._current(), dict(proof.row)
        self._proof = proof
        result.name = title
        result.titlePath = proof.file.split("/")
        result.fullName = f"{proof.file.replace('/', '.')}#{proof.scenario}"
        result.testCaseId = md5(result.fullName)
        result.labels.append(Label(name=PROOF, value=proof.id))
        if "tenant" in row:
            tenant = row["tenant"]
            result.labels.append(Label(name="tenant", value=tenant))
            if tenant in self._groups:
                result.labels.append(Label(name="tenants", value=self._groups[tenant]))
        path, line = place
        note = f"Source: `{path}:{line}` at commit `{self._source}`"
        result.description = f"{result.description}\n\n{note}" if result.description else note
        self._link(path, line)

    def settle_parameters(self, others: Collection[str]) -> None:
        """Let the running test be known by its row and by *others*; what else was made a parameter is only shown."""
        result, row = self._current(), dict(self._proof.row)
        result.parameters = [
            *(Parameter(name=column, value=value) for column, value in row.items()),
            *(
                attr.evolve(item, excluded=item.excluded or item.name not in others or None)
                for item in result.parameters
                if item.name not in {*row, EXAMPLE}
            ),
        ]

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
            self._attach_reasons(error)
            # An interrupted test gets no report: it would keep the status of its set-up, which passed.
            self._current().status = self._step.status
        self._step = None

    def skip_step(self, title: str) -> None:
        """Write down a step that did not run because one before it did not pass."""
        at = now()
        self._current().steps.append(TestStepResult(name=title, start=at, stop=at, status=Status.SKIPPED))

    def judge(self, error: BaseException, details: str, log: str) -> None:
        """Say how the running test ended: *failed* is the database's fault, *broken* what the suite stands on.

        Args:
            error: What ended it.
            details: How pytest tells it.
            log: What was logged meanwhile.
        """
        result = self._current()
        result.status = _status(error)
        kind = errors.kind_of(error, failed=result.status == Status.FAILED)
        if result.status == Status.SKIPPED:
            result.statusDetails = _details(error)
            return
        result.statusDetails = _details(error, errors.marked(details, kind))
        if self._command and result.status == Status.FAILED and self._command[2] is not result:
            name, content, runner = self._command
            self.attach(f"{name}, run by: {runner.name}", content, "json")
        if log:
            self.attach("log of the scenario", log, "text")

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
            elif name.startswith(COMMAND) and self._step:
                self._command = name, content, self._current()

    def _attach_reasons(self, error: BaseException) -> None:
        """Attach what was expected and found; or what is known of a failure without output, such as its SSM command."""
        expected, found = _sides(error)
        if expected is not None:
            table = io.StringIO()
            csv.writer(table, lineterminator="\n").writerows([("expected", "found"), (expected, found)])
            self.attach("expected and found", table.getvalue(), "csv")
        if isinstance(error, ProvisioningError) and error.where and _status(error) != Status.SKIPPED:
            facts = {"what": error.what, **error.where, "next": error.remedy}
            self.attach("facts of the failure", json.dumps(facts, indent=2, default=str, ensure_ascii=False), "json")

    def _link(self, path: str, line: int | None = None) -> None:
        result, url = self._current(), self._source.link(path, line)
        if url and all(link.url != url for link in result.links):
            result.links.append(Link(type="link", url=url, name=f"{path} at {self._source.commit[:12]}"))


def _status(error: BaseException | None) -> str:
    """Return Allure's word: a claim about the database that does not hold is *failed*, other trouble *broken*."""
    if isinstance(error, PhaseSkipped | NotApplicable):
        return str(Status.SKIPPED)
    if isinstance(error, SqlError | VerificationError):
        return str(Status.FAILED)
    return str(get_status(error))


def _details(error: BaseException, trace: str | None = None) -> StatusDetails:
    """Return why it ended: what was expected and found comes first where *error* knows both."""
    message = _message(error)
    expected, found = _sides(error)
    if expected is None:
        return StatusDetails(message=message, trace=trace)
    return ComparedDetails(message=message, trace=trace, expected=expected, actual=found)


def _sides(error: BaseException) -> tuple[str, str] | tuple[None, None]:
    """Return what *error* expected and found, where it knows both."""
    if not (hasattr(error, "expected") and hasattr(error, "found")):
        return None, None
    return str(error.expected), str(error.found)


def _message(error: BaseException) -> str:
    """Return what *error* says; a kind of error that does not speak for itself is named."""
    if (isinstance(error, ProvisioningError | AssertionError) or get_status(error) == Status.FAILED) and str(error):
        return str(error)
    return f"{type(error).__name__}: {error}"


__all__ = ["LIMIT", "Kind", "Recorder", "ResultWriter", "attach", "describe", "record_trouble", "start_recording"]

_recorder: Recorder | None = None


def attach(name: str, content: str, kind: Kind = "text") -> None:
    """Attach *content* to the running step; without secrets, and at most `LIMIT` bytes with the digest of the whole."""
    if _recorder is not None:
        _recorder.attach(name, content, kind)


def record_trouble(title: str, error: BaseException, details: str) -> None:
    """Write down that *title* holds because of *error*: a failure that is no scenario's, told as *details*."""
    if _recorder is not None:
        labels.record(title, error, details)


def start_recording(
    config: Any, directories: Sequence[Path], *, source: Repository, tenants: Sequence[str]
) -> Recorder:
    """Write Allure results into each of *directories* until pytest's *config* is done with.

    Args:
        config: pytest's own.
        directories: Where to.
        source: What is run, so that evidence can be linked to it.
        tenants: All of them.
    """
    global _recorder  # noqa: PLW0603 - library code attaches without knowing whether a report is written
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
        write_categories(directory)
        write_executor(directory, os.environ, EPIC)
    listener = AllureListener(config)
    config.pluginmanager.register(listener, "allure_listener")
    for plugin in (listener, *map(ResultWriter, directories)):
        allure_commons.plugin_manager.register(plugin)
        config.add_cleanup(partial(allure_commons.plugin_manager.unregister, plugin))
    _recorder = Recorder(lambda: listener.allure_logger.get_test(None), source, groups(tenants))
    config.add_cleanup(_stop)
    return _recorder


def _stop() -> None:
    global _recorder  # noqa: PLW0603
    _recorder = None

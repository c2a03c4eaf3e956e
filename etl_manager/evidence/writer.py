"""Allure's files on disk: each whole or not at all, and none with a secret in it."""

from __future__ import annotations

import json
from pathlib import Path

import allure_commons
import attr
from allure_commons.model2 import TestResult

from etl_manager.redaction import redact, redact_all


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

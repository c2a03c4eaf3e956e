"""Log records are made without secrets, so that no handler, file or plugin needs a filter of its own."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

from etl_manager.redaction import redact


def install() -> Callable[[], None]:
    """Redact every record that a logger of this process makes from now on; the function returned undoes it.

    What is logged through ``extra`` under a name of its own is not looked at: no format of ours shows it.
    """
    make = logging.getLogRecordFactory()

    def redacted(*words: Any, **options: Any) -> logging.LogRecord:
        record = make(*words, **options)
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - a wrong format is told by the handler, as without us
            return record
        if (clean := redact(text)) != text:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[0]:
            trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            if (clean := redact(trace)) != trace:
                record.exc_info, record.exc_text = None, clean  # every formatter takes the text that is there
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return record

    logging.setLogRecordFactory(redacted)
    return lambda: logging.setLogRecordFactory(make)

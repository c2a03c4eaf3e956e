"""Retry SSM calls: which errors are retried, for how long, and the error raised at the end."""

from __future__ import annotations

import enum
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004
from botocore.parsers import ResponseParserError

from etl_manager.aws import errors
from etl_manager.errors import CommandError

THROTTLED = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"})
"""Codes by which AWS asks to come again later; the call had no effect."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long the transport waits, in seconds; tests wait less.

    Attributes:
        delivery: For SSM to hand a command to the agent (``TimeoutSeconds``; AWS: SendCommand accepts 30 and more).
        execution: For a command to run (``executionTimeout``; the document's own default).
        patience: While a call is throttled or its connection breaks, and for SSM to know a command it took.
        pauses: The first pause between two looks, its growth, and the longest pause.
        settling: Pauses before each look for a command whose answer was lost: ListCommands lags behind (AWS: Run
            Command is eventually consistent).
        agent: From when SSM says that the agent of a command under way is not online until it is given up; SSM says
            so only minutes after it went silent.
        cancelling: For a cancelled command to end.
    """

    delivery: int = 120
    execution: int = 3_600
    patience: float = 60.0
    pauses: tuple[float, float, float] = (0.1, 1.5, 2.0)
    settling: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    agent: float = 20.0
    cancelling: float = 10.0


DEFAULT_TIMEOUTS = Timeouts()
"""How long a run waits for AWS."""


@dataclass
class PendingCommand:
    """What is known of one command: it is told whenever its end is not.

    Attributes:
        comment: Stands in SSM's history; it ends in a random token.
        instance_id: Where it runs.
        again: What a user is told who wants to run it again.
        command_id: Empty until SSM has taken it.
        status: As last seen.
        doubtful: Whether it was sent and no answer came.
    """

    comment: str
    instance_id: str
    again: str
    command_id: str = ""
    status: str = ""
    doubtful: bool = False

    def error(self, what: str, remedy: str) -> CommandError:
        """Return the error *what*, with all that is known of the command and where to look for more."""
        here = f"--instance-id {self.instance_id}"
        if self.command_id:
            seen = f"the command was last seen {self.status}" if self.status else "nothing was seen of the command yet"
            known = f"{seen}: it may have run, or may still be running"
            look = f"How it ended: aws ssm get-command-invocation --command-id {self.command_id} {here}\n{self.again}"
        elif self.doubtful:
            known = "the command was sent and no answer came: it may have run, or may still be running"
            look = (
                f"Whether SSM took it: aws ssm list-commands {here} "
                f"--query \"Commands[?Comment=='{self.comment}'].[CommandId,Status]\"\n{self.again}"
            )
        else:
            known = "the command was not sent"
            look = "Then run again."
        return CommandError(
            f"{what}; {known}",
            context={"SSM command": self.command_id, "comment": self.comment, "instance": self.instance_id},
            hint=f"{remedy}\n{look}".strip(),
        )


class _Answer(enum.Enum):
    """What an error says of the call: it had no effect and may be made again, it may have had one, it is refused."""

    AGAIN = enum.auto()
    LOST = enum.auto()
    REFUSED = enum.auto()


def _classify(error: Exception) -> _Answer:
    if isinstance(error, ClientError):
        if error.response["Error"]["Code"] in THROTTLED:
            return _Answer.AGAIN
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
        return _Answer.LOST if status >= 500 else _Answer.REFUSED
    if isinstance(error, ConnectionError):
        return _Answer.AGAIN  # there was no connection to send anything over
    if isinstance(error, (HTTPClientError, ResponseParserError)):
        return _Answer.LOST
    return _Answer.REFUSED


@dataclass(kw_only=True)
class RetryingClient:
    """Makes calls with patience. *clock* and *sleep* are arguments so that tests need not wait.

    `reachable` says whether AWS answered so far, and took our credentials.
    """

    waiting: Timeouts = DEFAULT_TIMEOUTS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    reachable: bool = True

    def ask(
        self,
        method: Callable[..., Any],
        sent: PendingCommand,
        *,
        absent: str = "",
        lost: Callable[[], Any] = lambda: None,
        **words: Any,
    ) -> Any:
        """Call *method* of a boto3 client with *words* until AWS answers.

        Args:
            method: What is called.
            sent: The command it is about.
            absent: The code of the error that is an answer too: then None is returned.
            lost: Called where the call may have had its effect though no answer came; what it returns is the answer,
                and where that is None the call is made again.
            words: The arguments of the call.

        Raises:
            CommandError: When AWS refuses, or does not answer for as long as is waited.
        """
        for reason in self._attempts(_name(method), sent):
            try:
                return method(**words)
            except (ClientError, BotoCoreError, ResponseParserError) as error:
                if isinstance(error, ClientError) and error.response["Error"]["Code"] == absent:
                    return None
                answer = _classify(error)
                if answer is _Answer.REFUSED:
                    raise self._refused(_name(method), error, sent) from error
                if answer is _Answer.LOST and (found := lost()) is not None:
                    return found
                reason.append(_words(error))
        raise AssertionError  # _attempts raises before it ends

    def pauses(self) -> Iterator[float]:
        """Yield the pauses between looks, the longest one for ever."""
        pause, growth, longest = self.waiting.pauses
        while True:
            yield pause
            pause = min(pause * growth, longest)

    def _attempts(self, call: str, sent: PendingCommand) -> Iterator[list[str]]:
        """Yield a list for the reason of each failed attempt, with pauses, until the patience is used up."""
        started = self.clock()
        for pause in self.pauses():
            reason: list[str] = []
            begun = self.clock()
            yield reason
            if begun - started > self.waiting.patience:
                self.reachable = False
                raise sent.error(
                    f"AWS did not answer {call} for {self.waiting.patience:.0f} s ({reason[-1]})",
                    "Check the network and the account's request rate.",
                )
            self.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - many runs are not to come again all at once

    def _refused(self, call: str, error: Exception, sent: PendingCommand) -> CommandError:
        self.reachable = False
        remedy = errors.remedy(error) if isinstance(error, (ClientError, BotoCoreError)) else ""
        return sent.error(f"AWS refused {call}: {_words(error)}", remedy)


def _name(method: Callable[..., Any]) -> str:
    """Return AWS's name of a boto3 client's *method*."""
    return method.__name__.title().replace("_", "")


def _words(error: Exception) -> str:
    if isinstance(error, ClientError):
        code, message = (str(error.response["Error"].get(part, "")) for part in ("Code", "Message"))
        return f"{code}: {message}" if message else code
    return str(error)

"""Retry SSM calls: which errors are retried, for how long, and the error raised at the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004

from etl_manager.aws import errors
from etl_manager.errors import CommandError

THROTTLED = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"})
"""Codes of AWS's errors that ask to call again later; the call had no effect."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long the transport waits, in seconds; tests wait less.

    Attributes:
        delivery_timeout: For SSM to hand a command to the agent (``TimeoutSeconds``; AWS: SendCommand, 30 or more).
        execution_timeout: For each phase of a command to run (``executionTimeout``; the document's own default).
        retry_timeout: While a call is throttled or its connection breaks, and for SSM to show a command it accepted.
        poll_pauses: The first pause between two polls, its growth, and the longest pause: a tenth of the time since the
            command was sent, so that no more than that is lost.
        lookup_delays: Pauses before each lookup of a command whose response was lost: ListCommands lags behind (AWS:
            Run Command is eventually consistent).
        agent_timeout: How long the agent of a running command may be offline; SSM reports it offline only minutes
            after it went silent.
        cancel_timeout: For a cancelled command to end.
        progress_delay: Until a command in progress is first asked how far it is; then after twice as long, and so on.
    """

    delivery_timeout: int = 120
    execution_timeout: int = 3_600
    retry_timeout: float = 60.0
    poll_pauses: tuple[float, float, float] = (0.1, 1.1, 2.0)
    lookup_delays: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    agent_timeout: float = 20.0
    cancel_timeout: float = 10.0
    progress_delay: float = 20.0


LONGEST_EXECUTION = 172_800
"""Seconds that a command may run at most (AWS: AWS-RunShellScript, ``executionTimeout``)."""
DEFAULT_TIMEOUTS = Timeouts()
"""How long a run waits for AWS."""


@dataclass
class PendingCommand:
    """What is known of a command that has no result yet, for the error where it never has one.

    Attributes:
        purpose: What the command is for, as the terminal shows it.
        token: What no other command has; its output ends with it.
        comment: What SSM's history shows; it ends with the token.
        instance_id: Where it runs.
        retry_hint: What a user who wants to run it again should know.
        command_id: Empty until SSM has accepted it.
        status: The last one that SSM reported.
        response_lost: Whether it was sent and no response came: SSM may have it twice.
        execution_timeout: Seconds it may run.
    """

    purpose: str
    token: str
    comment: str
    instance_id: str
    retry_hint: str
    command_id: str = ""
    status: str = ""
    response_lost: bool = False
    execution_timeout: int = 3_600

    def error(self, what: str, remedy: str) -> CommandError:
        """Return the error *what*, with all that is known of the command and where to look for more."""
        here = f"--instance-id {self.instance_id}"
        if self.command_id:
            seen = f"the command was last seen {self.status}" if self.status else "nothing was seen of the command yet"
            known = f"{seen}: it may have run, or may still be running"
            look = (
                f"How it ended: aws ssm get-command-invocation --command-id {self.command_id} {here}\n{self.retry_hint}"
            )
        elif self.response_lost:
            known = "the command was sent and no answer came: it may have run, or may still be running"
            look = (
                f"Whether SSM took it: aws ssm list-commands {here} "
                f"--query \"Commands[?Comment=='{self.comment}'].[CommandId,Status]\"\n{self.retry_hint}"
            )
        else:
            known = "the command was not sent"
            look = "Then run again."
        return CommandError(
            f"{what}; {known}",
            context={"SSM command": self.command_id, "comment": self.comment, "instance": self.instance_id},
            hint=f"{remedy}\n{look}".strip(),
        )


class Attempt:
    """One attempt of a call, as a context manager: an error of AWS's ends in it, and `Retry.attempts` goes on."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._unreadable = False

    def __enter__(self) -> None:
        """Begin the attempt."""

    def __exit__(self, _type: object, error: BaseException | None, _traceback: TracebackType | None) -> bool:
        """Keep an error of AWS's, and raise any other one."""
        from botocore.parsers import ResponseParserError

        self._unreadable = isinstance(error, ResponseParserError)
        if isinstance(error, (ClientError, BotoCoreError, ResponseParserError)):
            self.error = error
        return self.error is not None

    @property
    def code(self) -> str:
        """AWS's code of the error; empty where AWS did not answer."""
        return str(self.error.response["Error"]["Code"]) if isinstance(self.error, ClientError) else ""

    @property
    def response_lost(self) -> bool:
        """Whether the call may have had its effect though it failed."""
        if isinstance(self.error, ClientError):
            status = int(self.error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
            return status >= 500 and not self._had_no_effect
        return (self._unreadable or isinstance(self.error, HTTPClientError)) and not self._had_no_effect

    @property
    def may_retry(self) -> bool:
        """Whether another attempt may succeed."""
        return self._had_no_effect or self.response_lost

    @property
    def _had_no_effect(self) -> bool:
        # Of a ConnectionError there was no connection to send anything over.
        return self.code in THROTTLED or isinstance(self.error, ConnectionError)

    def __str__(self) -> str:
        """Return AWS's own words."""
        if isinstance(self.error, ClientError):
            message = str(self.error.response["Error"].get("Message", ""))
            return f"{self.code}: {message}" if message else self.code
        return str(self.error)


@dataclass(kw_only=True)
class Retry:
    """Repeats calls until AWS answers. *clock* and *sleep* are arguments so that tests need not wait.

    `reachable` says whether AWS has answered so far, and accepted the credentials.
    """

    timeouts: Timeouts = DEFAULT_TIMEOUTS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    reachable: bool = True

    def attempts(self, call: str, command: PendingCommand) -> Iterator[Attempt]:
        """Yield attempts of AWS's *call* about *command*, with pauses; the caller leaves the loop once one succeeded.

        Raises:
            CommandError: When AWS refuses the call, or does not answer it within `Timeouts.retry_timeout`.
        """
        started = self.clock()
        for pause in self.pauses():
            attempt, begun = Attempt(), self.clock()
            yield attempt
            if not attempt.may_retry:
                self.reachable = False
                error = attempt.error
                remedy = errors.remedy(error) if isinstance(error, ClientError | BotoCoreError) else ""
                raise command.error(f"AWS refused {call}: {attempt}", remedy) from error
            if begun - started > self.timeouts.retry_timeout:
                self.reachable = False
                raise command.error(
                    f"AWS did not answer {call} for {self.timeouts.retry_timeout:.0f} s ({attempt})",
                    "Check the network and the account's request rate.",
                ) from attempt.error
            self.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - so that many runs do not call at the same moment

    def pauses(self) -> Iterator[float]:
        """Yield the pauses between polls, the longest one for ever."""
        pause, growth, longest = self.timeouts.poll_pauses
        while True:
            yield pause
            pause = min(pause * growth, longest)

"""Python programs in processes of their own that begin at once: forked from one that has imported what runs import.

A fresh ``python -m pytest features/`` imports for a second before its first test. A forked one is a process as that is —
session, signals, folder, environment, exit status and its end by a signal are its own — but for its command line.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = (
    "pytest", "gherkin.parser", "mako.lookup", "allure_commons", "boto3", "botocore.httpsession", "psycopg", "jinja2",
    "pydantic", "pygments.formatters.terminal", "etl_manager.provisioning.startup", "etl_manager.report.folder",
    "etl_manager.report.page", "etl_manager.targets.aws", "etl_manager.targets.local",
)  # fmt: skip
"""Not what pytest rewrites as it imports it: its plugins, the suite's and the steps."""


class Process:
    """A forked process, as `subprocess.Popen` shows one."""

    def __init__(self, answers: socket.socket, *pipes: int) -> None:
        """Wait until it has begun."""
        self._answers = answers.makefile("r")
        self._printed = dict.fromkeys(pipes, b"")
        self.pid = int(self._answers.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit status, or the negative number of the signal that ended it; None as long as it runs."""
        if self.returncode is None and select.select([self._answers], [], [], 0)[0]:
            self.returncode = int(self._answers.readline())
        return self.returncode

    def send_signal(self, sign: int) -> None:
        """Send *sign*, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, sign)

    def lines(self, last: str, timeout: float = 60) -> list[str]:
        """Return the lines it prints, up to the line *last*; it runs on."""
        out = next(iter(self._printed))
        while f"{last}\n".encode() not in self._printed[out]:
            assert select.select([out], [], [], timeout)[0], self._printed
            piece = os.read(out, 65_536)
            assert piece, (self.communicate(), self.returncode)
            self._printed[out] += piece
        return self._printed[out].decode().splitlines()

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Return what it prints to its end, or raise `subprocess.TimeoutExpired` after *timeout* seconds."""
        deadline = time.monotonic() + timeout
        printed = self._printed
        waiting: list[Any] = [*printed, self._answers]
        while waiting:
            ready, _, _ = select.select(waiting, [], [], max(deadline - time.monotonic(), 0))
            if not ready:
                raise subprocess.TimeoutExpired("python", timeout, b"".join(printed.values()))
            for each in ready:
                piece = self.poll() is None if each is self._answers else os.read(each, 65_536)
                if piece:
                    printed[each] += piece
                    continue
                waiting.remove(each)
                if each is not self._answers:
                    os.close(each)
        texts = (text.decode(errors="surrogateescape").replace("\r\n", "\n") for text in printed.values())
        out, err = [*texts, ""][:2]
        return out, err


def start(
    module: str, *arguments: str | Path, cwd: Path, env: Mapping[str, str], errors_apart: bool = False
) -> Process:
    """Start ``python -m MODULE`` in *cwd* with *env*, as a shell would: in a process group of its own."""
    ours, theirs = socket.socketpair()
    pipes = [os.pipe() for _ in range(1 + errors_apart)]
    asked = {"module": module, "arguments": [*map(str, arguments)], "cwd": str(cwd), "env": dict(env)}
    given = [theirs.fileno(), pipes[0][1], pipes[-1][1]]
    socket.send_fds(_server(), [json.dumps(asked).encode()], given)
    theirs.close()
    for _, end in pipes:
        os.close(end)
    return Process(ours, *(end for end, _ in pipes))


def run(module: str, *arguments: str | Path, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``python -m MODULE`` in *cwd* with *env* to its end."""
    process = start(module, *arguments, cwd=cwd, env=env, errors_apart=True)
    out, err = process.communicate()
    return subprocess.CompletedProcess([module, *arguments], process.returncode or 0, out, err)


@cache
def _server() -> socket.socket:
    """Start what is forked from; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = [sys.executable, __file__, str(theirs.fileno())]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    server = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
    theirs.close()
    atexit.register(server.wait)
    atexit.register(ours.close)
    return ours


def _serve(control: socket.socket) -> tuple[str, Sequence[str]]:
    """Fork a process for each request; return, in that process, what it is to be."""
    for name in IMPORTED:
        importlib.import_module(name)
    compat.preload()
    haste.make_haste()
    haste.read_models()
    check(configuration.load(ROOT / "config.json", ROOT))  # what it reads of the project's SQL is kept
    unraisableexception.gc_collect_harder = lambda _: None  # each of 200 runs would look through all that is imported
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        message, (*fds,), _, _ = socket.recv_fds(control, 1_000_000, 3)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answers, *outputs = fds
            if (pid := os.fork()) == 0:
                return _become(json.loads(message), answers, outputs)
            for each in outputs:
                os.close(each)
            _, status = os.waitpid(pid, 0)
            os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))
            os._exit(0)
        for each in fds:
            os.close(each)


def _become(asked: Mapping[str, str], answers: int, outputs: Sequence[int]) -> tuple[str, Sequence[str]]:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, output in enumerate(outputs, 1):
        os.dup2(output, number)
        os.close(output)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.path[0] = asked["cwd"]
    os.write(answers, b"%d\n" % os.getpid())
    os.close(answers)
    return asked["module"], asked["arguments"]


if __name__ == "__main__":
    sys.path[0] = str(ROOT)
    from _pytest import unraisableexception

    from etl_manager import config as configuration
    from etl_manager.sql_files.check import check
    from ssm_emulator import compat
    from tests.support import haste

    _module, _arguments = _serve(socket.socket(fileno=int(sys.argv[1])))
    sys.argv = [_module, *_arguments]
    runpy.run_module(_module, run_name="__main__", alter_sys=True)

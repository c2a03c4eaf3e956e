"""A forked process is what a fresh one is, to whoever runs it and to the program itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support import forks

PROGRAM = """
import atexit, json, os, signal, sys, time
atexit.register(print, "at exit")
print(json.dumps({
    "name": __name__, "words": sys.argv[1:], "folder": os.getcwd(), "path": sys.path, "variables": dict(os.environ),
    "input": sys.stdin.read(), "own group": os.getpgid(0) == os.getpid(),
    "signals": [str(signal.getsignal(each)) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
}), flush=True)
print("said", file=sys.stderr)
if sys.argv[1:] == ["sleep"]:
    time.sleep(60)
sys.exit(3)
"""


@pytest.fixture
def program(tmp_path):
    """A folder with a program."""
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


def test_forked_process_is_as_a_fresh_one(program):
    """What it is given, what it finds, what it prints and how it ends."""
    env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "ONE": "1"}
    fresh = subprocess.run(
        [sys.executable, "-m", "program", "a", "b"], cwd=program, env=env, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False, start_new_session=True,
    )  # fmt: skip
    forked = forks.run("program", "a", "b", cwd=program, env=env)
    assert (forked.returncode, forked.stdout, forked.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)
    assert fresh.stderr == "said\n"


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_forked_process_ends_by_a_signal(program, sign):
    """It is told by a negative status, as of a process that was started."""
    process = forks.start("program", "sleep", cwd=program, env={})
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=0.5)
    assert process.poll() is None
    process.send_signal(sign)
    process.communicate()
    assert process.returncode == -sign


def test_forked_processes_run_side_by_side(program):
    """Each has its own output and end; the first need not be over for the second."""
    sleeping = forks.start("program", "sleep", cwd=program, env={})
    processes = {name: forks.start("program", cwd=program, env={"NAME": name}) for name in ("one", "two")}
    for name, process in processes.items():
        printed, _ = process.communicate()
        assert f'"NAME": "{name}"' in printed
        assert process.returncode == 3
    assert sleeping.poll() is None
    sleeping.send_signal(signal.SIGKILL)
    sleeping.communicate()

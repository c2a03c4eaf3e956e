"""The bad days a run may meet, each with how it ends; `docs/faults.md` is made of what these runs really show.

Write it anew: ``python -m tests.e2e.transport.faults``
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from etl_manager.ssm.retry import DEFAULT_TIMEOUTS, Timeouts
from tests.support import aws, cluster, runs
from tests.support.aws import Account, settled
from tests.support.cluster import Cluster
from tests.support.project import ROOT
from tests.support.runs import BRIEF, Outcome, full_run

DOCUMENT = ROOT / "docs/faults.md"
HEAD = """\
# When AWS has a bad day

Each row is a real run of all phases against the emulated AWS, on a bastion that has the workspace: command 1 opens the
run, 2 carries all phases, the verification, and everything again. `@2` hits the second command or call. The table is
written by `python -m tests.e2e.transport.faults`, and `make test` holds it against what runs show.

- **A command runs at most once.** Where the answer to SendCommand is lost, the command is looked for in SSM before it
  is sent again; should both arrive, the second finds that its token was claimed and does nothing.
- **An output is whole, and the command's own.** It ends with its length, its digest and the command's token; what was cut,
  changed or belongs to another command is refused, and where the bastion's disk is full, the command fails.
- **What is known is told**: command id, status, whether it may have run, and how to find out more.
- **The next run ends proven**: where a run ended with an error, one followed that did, and no row was doubled or lost.
- **By chance**: `make stress` has 200 full runs meet one to three such faults each, drawn by a seed, on clusters that are
  empty, built or damaged. Each ends proven or with an error that helps, no command runs twice, the next run is proven,
  and no row is doubled or lost; `make stress SEEDS=20` has 20.
- The run's folder on the bastion holds the private key of its sealed credentials, readable by root only. A run that
  cannot remove it says so, and the next run of the same project does.
"""
PROVEN = "nothing: the run is proven"


@dataclass(frozen=True)
class Case:
    """A bad day.

    Attributes:
        title: What happens, in words.
        faults: As ``--fault`` takes them.
        proven: Whether the run is proven all the same.
        left: What the run leaves, where chance decides how far a command came; else empty, and looked up.
        again: Whether what the user sees tells that command 2 carries everything again; the tests leave it out elsewhere.
        timeouts: How long the run waits.
    """

    title: str
    faults: tuple[str, ...]
    proven: bool = False
    left: str = ""
    again: bool = False
    timeouts: Timeouts = BRIEF


def _resets(when: str) -> tuple[str, ...]:
    """Return a reset of each call that a run makes, of those it makes often not the first."""
    calls = {
        "GetCallerIdentity": 1,
        "DescribeStacks": 1,
        "GetSecretValue": 1,
        "DescribeInstanceInformation": 1,
        "SendCommand": 2,
        "ListCommands": 1,
        "GetCommandInvocation": 3,
    }
    return tuple(f"reset={when}:{action}@{number}" for action, number in calls.items())


AND_THE_RUN = "on the bastion the run's folder with its key, the workspace"
PARTLY = "what the phase builds, or a part of it; on the bastion the workspace"
# On a bastion that has the workspace: command 1 opens the run, 2 carries all else.
CASES = [
    Case("Every second call to AWS is throttled", ("throttle=2",), proven=True),
    Case("SendCommand is throttled for good", ("throttle=1:SendCommand",)),
    Case("GetCommandInvocation is throttled for good", ("throttle=1:GetCommandInvocation",)),
    Case("SSM does not know a command for seconds after it took it", ("invisible=1@2",), proven=True),
    Case("SSM never knows the command it took", ("invisible=3600@2",), left=f"what the phase builds; {AND_THE_RUN}"),
    Case("A command is Delayed", ("delayed=1@2",), proven=True),
    Case("The agent has ten commands, and refuses one more for a while", ("refused=1@2",), proven=True),
    Case("The agent has five commands at work, and one more waits in it", ("queued=1@2",), proven=True),
    Case("A command is not delivered in time (DeliveryTimedOut)", ("delivery-timeout=0.5@2",)),
    Case("A command runs too long (ExecutionTimedOut)", ("execution-timeout=0.15@2",), left=PARTLY, again=True),
    Case("A command is Undeliverable", ("undeliverable@2",)),
    Case("A command is Undeliverable and runs all the same", ("undeliverable-ran@2",), left=PARTLY),
    Case(
        "The agent is lost while a command runs",
        ("agent-lost=0.15@2",),
        left=f"what the phase builds, or a part of it; {AND_THE_RUN}",
    ),
    Case(
        "The bastion reboots while a command runs",
        ("reboot=0.15@2",),
        left=PARTLY,
        timeouts=replace(BRIEF, agent_timeout=9),
    ),
    Case("The agent's document worker dies with a command", ("worker-dead=0.15@2",), left=PARTLY),
    Case("The agent is offline before the run", ("offline",)),
    Case("The credentials have expired before the run", ("expired-credentials=1",)),
    Case("The credentials expire between two commands", ("expired-credentials=2:SendCommand",)),
    Case("The credentials expire while a command is waited for", ("expired-credentials=1:GetCommandInvocation",)),
    Case("The connection breaks before SSM has a command", ("reset=before:SendCommand@2",), proven=True),
    Case("The connection breaks after SSM has a command", ("reset=after:SendCommand@2",), proven=True),
    Case(
        "The connection breaks after SSM has a command, and stays broken",
        ("reset=after:SendCommand@2", "reset=before:ListCommands"),
        left=f"what the phase builds; {AND_THE_RUN}",
        again=True,
    ),
    Case("The connection breaks once at every call there is, before its effect", _resets("before"), proven=True),
    Case("The connection breaks once at every call there is, after its effect", _resets("after"), proven=True),
]


def row(
    case: Case, account: Callable[..., Account], database: Cluster, warm: Path, *, whole: bool = False
) -> tuple[str, Outcome]:
    """Have a run meet *case* and return the row of the table, and how it ended.

    A *whole* day has a clean run follow every error, and command 2 carry everything again; else only where that can
    make a difference to what is seen: what meets the command does not look into it.
    """
    root = Path(tempfile.mkdtemp(dir=warm.parent))
    aws.copy(warm, root)
    database.empty()
    bad = account(*case.faults, root=root)
    outcome = full_run(bad, timeouts=case.timeouts, again=whole or case.again)
    settled(bad)
    bad.close()
    state = case.left or f"{database.described()}; on the bastion {_on_the_bastion(bad)}"
    followed = whole or bool(case.left)
    if followed and not outcome.proven:
        next_ = account(root=root)
        clean = full_run(next_, again=whole)
        next_.close()
        assert clean.proven, clean.message
    if followed or outcome.proven:
        assert database.users() == {tenant: [1, 2, 3, 4, 5] for tenant in runs.project().tenants}
    faults = " ".join(f"`--fault {fault}`" for fault in case.faults)
    return f"| {case.title}<br>{faults} | {_seen(outcome)} | {state} |", outcome


def _seen(outcome: Outcome) -> str:
    """Return what the user is told, without what differs each time, and with the times of real runs."""
    if outcome.proven:
        return PROVEN
    assert outcome.error is not None
    text = "\n".join([f"**{outcome.error.message}**", *outcome.error.hint.splitlines()])
    told = [line for line in outcome.said if line.startswith("[WARNING]")]
    text = "\n".join([text, *told])
    for pattern, words in {
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}": "COMMAND-ID",
        r"\[[0-9a-f]{8}\]": "[TOKEN]",
        r"etl-manager-run-[0-9a-f]{12}": "etl-manager-run-ID",
        r"(did not answer \w+) for \d+ s": rf"\1 for {DEFAULT_TIMEOUTS.retry_timeout:.0f} s",
        r"(did not show it) for \d+ s": rf"\1 for {DEFAULT_TIMEOUTS.retry_timeout:.0f} s",
        r"http://127[0-9.:]+/": "https://ssm.REGION.amazonaws.com/",
        r"i-0[0-9a-f]{16}": "INSTANCE",
        r"\|": "\\|",
        r"<|>": "",
    }.items():
        text = re.sub(pattern, words, text)
    return text.replace("\n", "<br>")


def _on_the_bastion(account: Account) -> str:
    words = {"workspace": "the workspace", "etl-manager-run": "the run's folder with its key"}
    return ", ".join(words[name] for name in account.left())


def document(rows: list[str]) -> str:
    """Return the whole of ``docs/faults.md``."""
    return "\n".join([HEAD, "| what happens | what the user sees | what is left |", "|---|---|---|", *rows, ""])


def main() -> None:
    """Run all cases and write the document."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # where the server's user may go
        place = Path(folder)
        place.chmod(0o755)
        with cluster.server(place) as postgres, aws.accounts(place, postgres) as account:
            warm = runs.warm(account)
            database = Cluster(postgres.conninfo)
            rows = [row(case, account, database, warm, whole=True)[0] for case in CASES]
    DOCUMENT.write_text(document(rows), encoding="utf-8")


if __name__ == "__main__":
    main()

"""Whatever SSM answers and the bastion prints is either a whole result or one of the suite's own errors."""

from __future__ import annotations

import base64
import gzip
import hashlib
import lzma
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from etl_manager.bastion.workspace import BastionState
from etl_manager.errors import CommandError
from etl_manager.ssm.retry import PendingCommand, Retry
from etl_manager.ssm.run_command import parse_invocation
from etl_manager.ssm.script import MARK, CommandResult, read_end_marker
from tests.unit.bastion.test_ssm_client import INSTANCE, SCRIPT, Clock, runner

bounded = settings(deadline=None, derandomize=True, max_examples=150, database=None)
texts = st.text(st.characters(exclude_categories=()), max_size=20)
numbers = st.sampled_from(["0", "1", "3", "07", "²", "٣", "9" * 5_000, "-1", ""])
anything = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(texts, max_size=2)
TOKEN = "0" * 8


@st.composite
def outputs(draw: st.DrawFn) -> str:
    """An output with an end marker, each part of which may be wrong."""
    body = draw(texts)
    raw = body.encode(errors="replace")
    packed, packed_more = (base64.b64encode(pack(raw)).decode() for pack in (gzip.compress, lzma.compress))
    digest = draw(st.sampled_from([hashlib.sha256(raw).hexdigest(), "0" * 64, "x"]))
    encoding, carried = draw(
        st.sampled_from(
            [
                *[("plain", body), ("gzip", packed), ("gzip", packed[:-9]), ("gzip", body), ("x", "")],
                *[("xz", packed_more), ("xz", packed_more[:-9]), ("xz", packed), ("xz", body)],
            ]
        )
    )
    size, length = (draw(numbers | st.just(str(len(raw)))) for _ in range(2))
    marker = f"\n{MARK} token={draw(st.sampled_from([TOKEN, 'f' * 8, '']))} encoding={encoding} bytes={length} sha256={digest}"
    end = f" status={draw(numbers)} size={size} remainder={draw(st.sampled_from(['', '/x']))}\n"
    return carried + marker + end + draw(st.sampled_from(["", "x"]))


fields: dict[str, Any] = {
    "Status": st.sampled_from(["Success", "Failed", "TimedOut", "Cancelled", "InProgress"]) | anything,
    "StatusDetails": st.sampled_from(["Success", "Failed", "Delivery Timed Out"]) | anything,
    "ResponseCode": st.sampled_from([0, 1, 3, 77, 78, -1]) | anything,
    "StandardOutputContent": outputs() | anything,
    "StandardErrorContent": texts | anything,
}
answers = st.fixed_dictionaries({}, optional=fields)


class Ssm:
    """Takes every command, and answers as the test has it; once it is asked too often, that it is over."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def send_command(self, **_: Any) -> dict[str, Any]:
        """Take it."""
        return {"Command": {"CommandId": "c"}}

    def get_command_invocation(self, **_: Any) -> dict[str, Any]:
        """Answer."""
        return self.answer

    def list_commands(self, **_: Any) -> dict[str, Any]:
        """Know of none."""
        return {"Commands": []}

    def describe_instance_information(self, **_: Any) -> dict[str, Any]:
        """Be online."""
        return {"InstanceInformationList": [{"PingStatus": "Online"}]}

    def cancel_command(self, **_: Any) -> None:
        """Do nothing."""


@bounded
@given(answers)
def test_any_answer_about_a_command(answer):
    """An invocation of any shape ends in a result, or in an error that says what to do."""
    command = PendingCommand("p", TOKEN, "c", INSTANCE, "again", "id", status=str(answer.get("Status", "")))
    try:
        result = parse_invocation(command, answer, 1.0, Retry().timeouts)
    except CommandError as error:
        assert error.message  # noqa: PT017 - either end is right
    else:
        assert isinstance(result.exit_status, int)
        result.stdout.decode()


@bounded
@given(answers)
def test_any_answer_in_a_run(answer):
    """So does the whole way: sending, waiting, the end marker, pages."""
    run = runner(Ssm(answer), Clock())
    try:
        result = run.run(SCRIPT, "p")
    except CommandError as error:
        assert error.message  # noqa: PT017 - either end is right
    else:
        assert result.status in {"Success", "Failed"}


@bounded
@given(outputs())
def test_any_end_marker(output):
    """An output is whole, has no end, or is an error."""
    whole = hashlib.sha256(b"x").hexdigest()
    end = f"\n{MARK} token={TOKEN} encoding=plain bytes=1 sha256={whole} status=0 size=1 remainder=\n"
    assert read_end_marker(f"{output}{end}") is not None
    marker = read_end_marker(output)
    if marker is not None:
        try:
            data = marker.decode(marker.content)
        except CommandError:
            return
        assert hashlib.sha256(data).hexdigest() == marker.sha256


@bounded
@given(st.lists(st.binary(max_size=12) | st.builds(
    lambda code, milliseconds, out, err, name: f"{MARK} file exit={code} milliseconds={milliseconds} stdout={out} stderr={err} name=".encode() + name + b"\n",
    numbers, numbers, numbers, numbers, st.binary(max_size=6),
), max_size=5).map(b"".join))  # fmt: skip
def test_any_frames_of_files(stdout):
    """Frames of any kind are read, or are an error where their sizes do not add up to the output."""
    result = CommandResult(
        command_id="c", instance_id="i", status="Success", exit_status=0, stdout=stdout, stderr="", seconds=0
    )
    for errors in ("replace", "surrogateescape"):
        try:
            files = result.sql_files(errors)
        except CommandError as error:
            assert "does not add up" in error.message  # noqa: PT017 - either end is right
            continue
        assert all(isinstance(file.exit_code, int) for file in files)


facts = st.builds(lambda name, value: f"{name}={value}", st.sampled_from(
    ["workspace", "owner", "digest", "manifest", "edited", "part", "psql", "json", "openssl", "curl", "x"]
), texts | numbers | numbers.map(lambda number: f"{number}:abc"))  # fmt: skip


@bounded
@given(st.lists(facts | texts, max_size=12).map("\n".join))
def test_any_state_of_the_bastion(text):
    """What opening a run printed is read, whatever it is; what is missing in it is empty."""
    state = BastionState.read(text)
    assert all(isinstance(number, int) for number in state.parts)
    assert all(name.isprintable() for name in state.edited)

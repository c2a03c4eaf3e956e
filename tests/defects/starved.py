"""What a machine may lack, what a run does then, and the test that shows it: a table of `docs/reliability.md`."""

from __future__ import annotations

STARVED = [
    (
        "no space for the reports, at the start or at any later file",
        "red, the error with its path and what to free; `reports/` holds nothing of the run",
        "tests/unit/plugin/test_starved_machine.py::test_disk_that_fills_during_a_run",
    ),
    (
        "no result of a scenario can be written",
        "the run ends after that scenario",
        "tests/unit/plugin/test_starved_machine.py::test_result_that_cannot_be_written_ends_the_run",
    ),
    (
        "no space for the local target's state",
        "it does not start, and says what is missing",
        "tests/unit/targets/test_local_target.py::test_state_that_cannot_be_written_says_what_is_missing",
    ),
    (
        "fewer than 128 open files (`ulimit -n`)",
        "the local target does not start, and says how many it needs",
        "tests/unit/targets/test_local_target.py::test_too_few_open_files_start_nothing",
    ),
    (
        "a full disk on the bastion",
        "the command fails; an output that was cut is never shown as whole",
        "tests/unit/bastion/test_full_disk.py::test_output_that_cannot_be_written_fails_the_command",
    ),
    (
        "the bastion's clock is set back while an SQL file runs",
        "nothing: the output and its time are whole",
        "tests/unit/bastion/test_clock_that_jumps.py::test_bastions_clock_is_set_back_while_a_file_runs",
    ),
    (
        "AWS refuses a request for its time",
        "the error says to look at the clock",
        "tests/unit/targets/test_aws_credentials.py::test_clock_that_is_wrong_is_named",
    ),
]
"""What is missing, what happens, and the test."""

"""Every SQL file that a run will execute is read before anything starts, and refused where it must not be run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from etl_manager.config import Config, phases
from etl_manager.errors import ConfigError
from etl_manager.sql_files import destroys, rules
from etl_manager.sql_files.lexer import Command, Statement, UnreadableError, decode, read, takes_data, words

SHARED = "sql/shared/"
"""The suite's own files: they make the temporary tables by which a read-only file reads."""
INSPECTIONS = ("inspect-database.sql", "inspect-catalogue.sql", "count-rows.sql")
_DESTROYS = (
    "A run never drops, truncates or deletes. Take the statement out and run it by hand (docs/manual.md), or say in the "
    "comment at the head of the file why a run must do it: -- destroys: WHY"
)


def check(config: Config) -> None:
    """Read every SQL file that a run of *config* will execute.

    Raises:
        ConfigError: When one of them destroys, cannot be read to its end, or could change something where it must not;
            each with file, line and statement.
    """
    files = [_File(config.root, phase.name, file) for phase in config.phases for file in _files(config, phase.name)]
    inspections = [phases.INSPECTION.with_name(name) for name in INSPECTIONS]
    files += [_File(config.root, "inspection", file) for file in inspections if (config.root / file).exists()]
    defined = dict(found for file in files for found in file.defined())
    problems = [problem for file in files for problem in file.problems(defined)]
    problems += _left_out(config, files)
    if problems:
        destroyed = any(file.destroying for file in files)
        raise ConfigError(
            "SQL files cannot be run:\n" + "\n".join(f"  - {problem}" for problem in dict.fromkeys(problems)),
            hint=_DESTROYS
            if destroyed
            else "Nothing was started. Correct the files; docs/manual.md says what they may hold.",
        )


def _files(config: Config, phase: str) -> tuple[PurePosixPath, ...]:
    return phases.sql_files(config.root, phase)


def _left_out(config: Config, files: Sequence[_File]) -> Iterator[str]:
    """Yield the SQL files in sub-folders of the phases, which nobody runs."""
    used = {name for file in files for name in file.sources}
    for phase in config.phases:
        for path in sorted((config.root / phases.SQL_ROOT / phase.name).rglob("*")):
            name = path.relative_to(config.root).as_posix()
            nested = path.parent != config.root / phases.SQL_ROOT / phase.name
            if nested and path.suffix.lower() == ".sql" and not path.name.startswith(".") and name not in used:
                yield f"{name}: would not be run: sub-folders of a phase are not entered; include it (\\ir) or move it up"


@dataclass
class _File:
    """A file of a phase, with all it includes."""

    root: Path
    phase: str
    name: PurePosixPath
    sources: dict[str, list[str]] = field(default_factory=dict)
    parts: list[tuple[str, Statement | Command]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    allowed: str = ""
    destroying: bool = False

    def __post_init__(self) -> None:
        """Read it."""
        self._include(self.name.as_posix())

    def defined(self) -> Iterator[tuple[str, str]]:
        """Yield the functions it defines that destroy, each with how."""
        for _, part in self.parts:
            if isinstance(part, Statement) and (found := rules.defines(part)):
                yield found

    def problems(self, defined: dict[str, str]) -> Iterator[str]:
        """Yield what is wrong; *defined* are the functions of all files that destroy."""
        yield from self.unreadable
        for file, part in self.parts:
            if not self.allowed and (how := self._destroys(part, defined)):
                self.destroying = True
                yield self._told(file, part.line, how)
            reads_only = self.phase in phases.READ_ONLY and not file.startswith(SHARED)
            if reads_only and (why := rules.objection(part, self.phase)):
                yield self._told(file, part.line, why)

    def _destroys(self, part: Statement | Command, defined: dict[str, str]) -> str:
        if isinstance(part, Command):
            return rules.command_destroys(part)
        called = sorted(rules.calls(part) & defined.keys())
        return rules.destroys(part) or "".join(
            f"calls {name.lower()}, which does {defined[name]}" for name in called[:1]
        )

    def _told(self, file: str, line: int, what: str) -> str:
        return f"{file}:{line}: {what}: {' '.join(self.sources[file][line - 1].split())[:100]}"

    def _include(self, file: str) -> None:
        """Read *file*, and the files it includes."""
        if file in self.sources:
            return
        path = self.root / file
        try:
            text = decode(path.read_bytes())
            self.sources[file] = [*text.split("\n"), ""]
            if file == self.name.as_posix():
                self.allowed = destroys(text)
            parts = read(text)
        except UnreadableError as error:
            self.unreadable.append(f"{file}:{error.line}: {error}")
            return
        except OSError as error:
            self.unreadable.append(f"{file}: cannot be read: {error.strerror}")
            return
        self.unreadable += self._misread(file, parts)
        for part in parts:
            self.parts.append((file, part))
            if isinstance(part, Command) and (name := rules.included(part)) is not None:
                self._follow(file, part, name)

    def _misread(self, file: str, parts: Sequence[Statement | Command]) -> Iterator[str]:
        """Yield where psql would not read *parts* to their end, or take for SQL what is none."""
        if quits := rules.ends_early(parts):
            yield self._told(file, quits.line, "ends the file early: what follows would never be run")
        unsure = any(isinstance(part, Command) and (part.name == "if" or _tolerates(part)) for part in parts)
        for part in parts:
            if isinstance(part, Statement) and _backslashes(part):
                yield self._told(
                    file, part.line, "makes psql read quotes in another way, so that the file cannot be read beforehand"
                )
            if unsure and isinstance(part, Statement) and takes_data(part):
                yield self._told(
                    file,
                    part.line,
                    r"where this COPY is not run (\if) or fails (ON_ERROR_STOP off), psql runs its data as SQL",
                )

    def _follow(self, file: str, command: Command, name: str) -> None:
        base = (self.root / file).parent if command.name in {"ir", "include_relative"} else self.root
        path = Path(*Path(base, name).parts)
        try:
            inside = path.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            inside = ""
        if re.search(r"[`:]", name) or not inside:
            self.unreadable.append(self._told(file, command.line, "includes a file that cannot be read beforehand"))
        elif not path.is_file():
            self.unreadable.append(self._told(file, command.line, f"includes {inside}, which is not there"))
        else:
            self._include(inside)


def _tolerates(command: Command) -> bool:
    variable, *values = words(command.arguments) or [""]
    return command.name in {"set", "unset"} and variable == "ON_ERROR_STOP" and values not in (["on"], ["1"], ["true"])


def _backslashes(statement: Statement) -> bool:
    """Return whether *statement* switches ``standard_conforming_strings`` off."""
    texts = [token.text.upper() for token in statement.tokens if token.text not in {"=", ",", "TO"}]
    if "STANDARD_CONFORMING_STRINGS" not in texts:
        return False
    after = texts[texts.index("STANDARD_CONFORMING_STRINGS") + 1 :]
    return texts[0] in {"SET", "SELECT"} and after[:1] not in (["ON"], ["TRUE"], ["1"], [")"], [])

"""Every SQL file that a run will execute is read before anything starts, and refused where it must not be run."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

from etl_manager.config import Config, phases
from etl_manager.errors import ConfigError
from etl_manager.project import engine_files, path_of
from etl_manager.sql_files import destroys, rules
from etl_manager.sql_files.lexer import Command, Statement, UnreadableError, decode, read, takes_data, words

_DESTROYS = (
    "A run never drops, truncates or deletes. Take the statement out and run it by hand (docs/manual.md), or say in the "
    "comment at the head of the file why a run must do it: -- destroys: WHY"
)


def check(config: Config) -> None:
    """Read every SQL file that a run of *config* will execute, the tenant template's among them.

    Raises:
        ConfigError: When one of them destroys, cannot be read to its end, or could change something where it must not;
            each with file, line and statement. Also when there is no tenant template.
    """
    changes = [_File(config.root, "tenant", file.as_posix()) for file in phases.changes(config.root)]
    data = {file: _File(config.root, "tenant", file.as_posix()) for file in phases.data_files(config.root)}
    if not changes:
        raise ConfigError(
            f"There is no tenant template: no SQL file in {phases.TENANT}/changes",
            context={"project": config.root},
            hint="Its first change makes what every tenant has; docs/tenant-template.md tells more.",
        )
    files = [
        _File(config.root, phase.name, file.as_posix())
        for phase in config.phases
        for file in phases.sql_files(config.root, phase.name)
    ]
    inspections = (name for name in engine_files() if PurePosixPath(name).parent == phases.INSPECTION.parent)
    files += [_File(config.root, "inspection", name) for name in inspections]
    files += [*changes, *data.values()]
    defined = dict(found for file in files for found in file.defined())
    problems = [problem for file in files for problem in file.problems(defined)]
    problems += _left_out(config, files)
    problems += _template(config, changes, data)
    if problems:
        destroyed = any(file.destroying for file in files)
        raise ConfigError(
            "SQL files cannot be run:\n" + "\n".join(f"  - {problem}" for problem in dict.fromkeys(problems)),
            hint=_DESTROYS
            if destroyed
            else "Nothing was started. Correct the files; docs/manual.md says what they may hold.",
        )


def _template(config: Config, changes: Sequence[_File], data: Mapping[PurePosixPath, _File]) -> Iterator[str]:
    """Yield what the template's files may not hold, and what names a table that no change speaks of."""
    known = {name for change in changes for name in rules.names(change.own)}
    for change in changes:
        yield from change.at_lines(rules.problems_of_change(change.text, change.own))
        yield from change.at_lines(rules.problems_of_schemas(change.own, config.tenants))
    for name, file in data.items():
        yield from file.at_lines(rules.problems_of_data(file.own))
        yield from file.at_lines(rules.problems_of_schemas(file.own, config.tenants))
        if (table := name.stem) not in known:
            yield f"{name}: no change makes a table {table}; a data file is called as its table is"
    for index, table in enumerate(config.zero_etl.tables or ()):
        if table not in known:
            yield f"zeroEtl.tables[{index}]: no change of the tenant template makes a table {table!r}"


def _left_out(config: Config, files: Sequence[_File]) -> Iterator[str]:
    """Yield the SQL files in sub-folders of the phases that no file includes: they would not be run."""
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
    name: str
    sources: dict[str, list[str]] = field(default_factory=dict)
    parts: list[tuple[str, Statement | Command]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    destroys_because: str = ""
    destroying: bool = False

    def __post_init__(self) -> None:
        """Read it."""
        self._include(self.name)

    @property
    def text(self) -> str:
        """What is in the file itself."""
        return "\n".join(self.sources.get(self.name, ()))

    @property
    def own(self) -> list[Statement | Command]:
        """What the file itself holds, without what it includes."""
        return [part for file, part in self.parts if file == self.name]

    def at_lines(self, problems: Iterable[rules.Problem]) -> Iterator[str]:
        """Yield *problems* of the file itself, each with its place."""
        return (self._at(self.name, line, what) for line, what in problems)

    def defined(self) -> Iterator[tuple[str, str]]:
        """Yield the functions it defines that destroy, each with how."""
        for _, part in self.parts:
            if isinstance(part, Statement) and (found := rules.defines(part)):
                yield found

    def problems(self, defined: dict[str, str]) -> Iterator[str]:
        """Yield what is wrong; *defined* are the functions of all files that destroy."""
        yield from self.unreadable
        # What the phases' files include of the engine makes the temporary tables by which they read.
        exempt = set(engine_files()) - {self.name}
        for file, part in self.parts:
            if not self.destroys_because and (how := self._destroys(part, defined)):
                self.destroying = True
                yield self._at(file, part.line, how)
            reads_only = self.phase in phases.READ_ONLY and file not in exempt
            if reads_only and (why := rules.may_write(part, self.phase)):
                yield self._at(file, part.line, why)

    def _destroys(self, part: Statement | Command, defined: dict[str, str]) -> str:
        if isinstance(part, Command):
            return rules.command_destroys(part)
        called = sorted(rules.calls(part) & defined.keys())
        return rules.destroys(part) or "".join(
            f"calls {name.lower()}, which does {defined[name]}" for name in called[:1]
        )

    def _at(self, file: str, line: int, what: str) -> str:
        return f"{file}:{line}: {what}: {' '.join(self.sources[file][line - 1].split())[:100]}"

    def _include(self, file: str) -> None:
        """Read *file*, and the files it includes."""
        if file in self.sources:
            return
        path = path_of(self.root, file)
        try:
            text = decode(path.read_bytes())
            self.sources[file] = [*text.split("\n"), ""]
            if file == self.name:
                self.destroys_because = destroys(text)
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
                self._include_named(file, part, name)

    def _misread(self, file: str, parts: Sequence[Statement | Command]) -> Iterator[str]:
        """Yield where psql would not read *parts* to their end, or take for SQL what is none."""
        if quits := rules.ends_early(parts):
            yield self._at(file, quits.line, "ends the file early: what follows would never be run")
        unsure = any(isinstance(part, Command) and (part.name == "if" or _tolerates_errors(part)) for part in parts)
        for part in parts:
            if isinstance(part, Statement) and _makes_backslashes_escape(part):
                yield self._at(
                    file, part.line, "makes psql read quotes in another way, so that the file cannot be read beforehand"
                )
            if unsure and isinstance(part, Statement) and takes_data(part):
                yield self._at(
                    file,
                    part.line,
                    r"where this COPY is not run (\if) or fails (ON_ERROR_STOP off), psql runs its data as SQL",
                )

    def _include_named(self, file: str, command: Command, name: str) -> None:
        base = posixpath.dirname(file) if command.name in {"ir", "include_relative"} else ""
        inside = posixpath.normpath(posixpath.join(base, name))
        path = path_of(self.root, inside)
        outside = path == self.root / inside and not path.resolve().is_relative_to(self.root.resolve())
        if re.search(r"[`:]", name) or not name or outside:
            self.unreadable.append(self._at(file, command.line, "includes a file that cannot be read beforehand"))
        elif not path.is_file():
            self.unreadable.append(self._at(file, command.line, f"includes {inside}, which is not there"))
        else:
            self._include(inside)


def _tolerates_errors(command: Command) -> bool:
    variable, *values = words(command.arguments) or [""]
    return command.name in {"set", "unset"} and variable == "ON_ERROR_STOP" and values not in (["on"], ["1"], ["true"])


@cache
def _makes_backslashes_escape(statement: Statement) -> bool:
    """Return whether *statement* switches ``standard_conforming_strings`` off."""
    texts = [token.text.upper() for token in statement.tokens if token.text not in {"=", ",", "TO"}]
    if "STANDARD_CONFORMING_STRINGS" not in texts:
        return False
    after = texts[texts.index("STANDARD_CONFORMING_STRINGS") + 1 :]
    return texts[0] in {"SET", "SELECT"} and after[:1] not in (["ON"], ["TRUE"], ["1"], [")"], [])

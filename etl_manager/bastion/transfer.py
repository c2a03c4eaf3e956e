"""The transfer of one run: in the command that needs it where it fits, else in parts, or by way of a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from etl_manager import redaction
from etl_manager.aws.errors import aws_errors
from etl_manager.bastion.credentials import seal_text
from etl_manager.bastion.workspace import Archive, ArchiveChunks, BastionState
from etl_manager.errors import WorkspaceError
from etl_manager.ssm import script
from etl_manager.ssm.script import ScriptResult, ScriptRunner

STATUS = {
    71: "a folder of the run on the bastion belongs to somebody else",
    72: "the bastion could not fetch the archive from the bucket",
    73: "the workspace is a link or another user's",
    74: "parts of the archive are missing or damaged",
    75: "the archive could not be unpacked (is the disk full?)",
    76: "the new workspace could not be put in place",
}
REMEDY = {
    72: (
        "It needs curl, and a way to S3: a NAT gateway, or an S3 gateway endpoint. Without bastion.autoTransfer.bucket "
        "in config.json the archive goes over SSM, in parts."
    ),
}
MANY_PARTS = 20
"""From here on a bucket is worth its while: each part is a command of its own."""


@dataclass(frozen=True)
class CommandPayload:
    """What a command carries: *templates* and *values*, and the lines of its *body*."""

    templates: tuple[str, ...]
    body: list[str]
    values: dict[str, str]

    def before(self, other: CommandPayload) -> CommandPayload:
        """Return one load of both."""
        templates = (*self.templates, *(name for name in other.templates if name not in self.templates))
        return CommandPayload(templates, [*self.body, *other.body], self.values | other.values)


@dataclass
class Transfer:
    """Brings *archive* to the bastion; *warn* is told what its users should know."""

    channel: ScriptRunner
    archive: Archive
    bucket: Bucket | None
    warn: Callable[[str], None]

    @contextmanager
    def ahead_of(self, load: CommandPayload, found: BastionState) -> Iterator[CommandPayload]:
        """Give what to run in place of *load*: with the last of the transfer before it, where both fit.

        Raises:
            WorkspaceError: When a part that went ahead could not be taken in.
            CommandError: When its command did not run to its end.
        """
        parts = ArchiveChunks.cut(self.archive, self._room())
        if self.bucket is not None and len(parts.pieces) > 1:
            _check_curl(found)
            with self.bucket.offered(
                f"{self.archive.digest[:16]}-{self.channel.run_id}.tar.gz", self.archive.data
            ) as url:
                yield self._riding(self._download(url, found.public_key), load, "fetch the archive from the bucket")
            return
        missing = parts.missing(found.parts)
        if len(missing) > MANY_PARTS:
            self.warn(
                f"[INFO] The archive takes {len(missing)} commands ({len(self.archive.data):,} bytes); "
                "bastion.autoTransfer.bucket in config.json would take it in one"
            )
        for number in missing[:-1]:
            self._send(CommandPayload(("transfer.sh",), [parts.receive(number)], parts.values()), _part(parts, number))
        last = CommandPayload(("transfer.sh",), [*map(parts.receive, missing[-1:]), "unpack || return"], parts.values())
        yield self._riding(last, load, _part(parts, *missing[-1:]))

    def read(self, head: str) -> None:
        """Read what a command printed of the transfer, before its own output."""
        for kept in script.facts(head).get("kept", []):
            self.warn(f"[WARNING] What was in {self.channel.workspace} was not made by a run; it is kept in {kept}")

    def failed(self, ran: ScriptResult) -> WorkspaceError:
        """Return the error of a command that could not make the workspace."""
        reason = STATUS.get(ran.status, f"exit status {ran.status}")
        return WorkspaceError(
            f"The workspace could not be made on the bastion: {reason}",
            context={
                "SSM command": ran.invocation.command_id,
                "workspace": self.channel.workspace,
                "said": ran.invocation.stderr.strip()[:300],
            },
            hint="\n".join(
                filter(
                    None,
                    [
                        "The workspace that was there is unchanged. Correct the cause and run again.",
                        REMEDY.get(ran.status),
                    ],
                )
            ),
        )

    def _riding(self, last: CommandPayload, load: CommandPayload, comment: str) -> CommandPayload:
        """Return both as one load where that fits one command; else send *last* ahead, and return *load*."""
        both = last.before(load)
        if self.channel.size(both.templates, "\n".join(both.body), both.values) <= self.channel.max_command_bytes:
            return both
        self._send(last, comment)
        return load

    def _send(self, load: CommandPayload, comment: str) -> None:
        ran = self.channel.execute(load.templates, "\n".join(load.body), load.values, comment)
        if ran.status != 0:
            raise self.failed(ran)
        self.read(ran.output.decode("utf-8", "replace"))

    def _download(self, url: str, public_key: str) -> CommandPayload:
        whole = ArchiveChunks(self.archive, (self.archive.data,))
        sealed = seal_text(f'url = "{url}"\n', public_key)
        values = whole.values() | {"SEALED_URL_KEY": sealed.key, "SEALED_URL": sealed.body}
        return CommandPayload(
            ("unseal.sh", "transfer.sh", "download.sh"), ["download || return", "unpack || return"], values
        )

    def _room(self) -> int:
        """Return how many bytes a command that only transfers has left for its part, as base64."""
        empty = ArchiveChunks(self.archive, (b"",))
        lines = [empty.receive(1), "unpack || return"]
        return max(
            self.channel.max_command_bytes - self.channel.size(("transfer.sh",), "\n".join(lines), empty.values()),
            1_000,
        )


def _check_curl(found: BastionState) -> None:
    if not found.curl:
        raise WorkspaceError(
            "The bastion lacks curl, which fetches the archive from bastion.autoTransfer.bucket",
            hint="On the bastion: sudo dnf install -y curl-minimal",
        )


def _part(parts: ArchiveChunks, *number: int) -> str:
    return f"transfer part {' '.join(map(str, number)) or 'all'} of {len(parts.pieces)}"


PREFIX = "etl-manager/"
URL_SECONDS = 900
"""How long the presigned URL is good, at most; the object is deleted as soon as the bastion has it."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """The bucket *name*; *warn* is told of an object that could not be deleted.

    A presigned URL lets whoever reads it have the object: it is a secret, and the caller seals it.
    """

    client: Any
    name: str
    warn: Callable[[str], None]

    @contextmanager
    def offered(self, key: str, data: bytes) -> Iterator[str]:
        """Put *data* under *key* and give a presigned URL of it; afterwards the object is gone.

        Raises:
            DiscoveryError: When S3 does not take it.
        """
        key = PREFIX + key
        try:
            with aws_errors("S3", "PutObject", f"s3://{self.name}/{key}"):
                self.client.put_object(Bucket=self.name, Key=key, Body=data, ContentType="application/gzip")
                url = str(
                    self.client.generate_presigned_url(
                        "get_object", Params={"Bucket": self.name, "Key": key}, ExpiresIn=URL_SECONDS
                    )
                )
            redaction.register(url)
            yield url
        finally:
            self._delete(key)  # also where the answer to PutObject was lost

    def _delete(self, key: str) -> None:
        try:
            self.client.delete_object(Bucket=self.name, Key=key)
        except (BotoCoreError, ClientError) as error:
            self.warn(f"[WARNING] s3://{self.name}/{key} could not be deleted: {error}")

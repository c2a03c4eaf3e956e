"""The transfer of one run: in the command that needs it where both fit, else in parts, or through a bucket."""

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
from etl_manager.errors import WorkspaceError, WorkspaceReplaced
from etl_manager.ssm.run_command import RunCommand
from etl_manager.ssm.script import CommandResult, Script, has_xz

STATUS = {
    71: "a folder of the run on the bastion belongs to somebody else",
    72: "the bastion could not fetch the archive from the bucket",
    73: "the workspace is a link, another user's, or holds files that no run put there",
    74: "parts of the archive are missing or damaged",
    75: "the archive could not be unpacked (is the disk full?)",
    76: "the new workspace could not be put in place",
    79: "another run put its own workspace there meanwhile",
}
REMEDIES = {
    72: "\nIt needs curl, and a way to S3: a NAT gateway, or an S3 gateway endpoint. Without bastion.autoTransfer.bucket "
    "in config.json the archive goes over SSM, in parts.",
}
IN_EACH_OTHERS_WAY = (74, 79)
"""What another run at work on the same bastion may bring about, and a second try mends."""
MANY_PARTS = 20
"""With more parts than these a bucket is recommended: each part is a command of its own."""


@dataclass
class Transfer:
    """Brings *archive* to the bastion; *warn* shows a warning."""

    run_command: RunCommand
    archive: Archive
    bucket: Bucket | None
    warn: Callable[[str], None]

    @contextmanager
    def prepend_transfer(self, script: Script, found: BastionState) -> Iterator[Script]:
        """Give what to run in place of *script*: with the last part of the transfer before it, where both fit.

        Raises:
            WorkspaceError: When a part that was sent first could not be stored.
            CommandError: When its command did not run to its end.
        """
        parts = ArchiveChunks.cut(self.archive, self._room(), "xz" if found.xz and has_xz() else "gzip")
        if self.bucket is not None and len(parts.pieces) > 1:
            if not found.curl:
                raise WorkspaceError(
                    "The bastion lacks curl, which fetches the archive from bastion.autoTransfer.bucket",
                    hint="On the bastion: sudo dnf install -y curl-minimal",
                )
            key = f"{self.archive.digest[:16]}-{self.run_command.run_id}.tar.gz"
            whole = ArchiveChunks(self.archive, (self.archive.packed(),))
            with self.bucket.presigned_upload(key, whole.packed) as url:
                download = self._download(whole, url, found.public_key)
                yield self._combine_or_send_first(download, script, "fetch the archive from the bucket")
            return
        missing = parts.missing(found.parts)
        if len(missing) > MANY_PARTS:
            self.warn(
                f"[INFO] The archive takes {len(missing)} commands ({len(parts.packed):,} bytes); "
                "bastion.autoTransfer.bucket in config.json would take it in one"
            )
        for number in missing[:-1]:
            self._send(Script(("transfer.sh",), [parts.receive(number)], parts.values()), _part(parts, number))
        last = Script(("transfer.sh",), [*map(parts.receive, missing[-1:]), "unpack || return"], parts.values())
        yield self._combine_or_send_first(last, script, _part(parts, *missing[-1:]))

    def failed(self, result: CommandResult) -> WorkspaceError:
        """Return the error of a command that could not make the workspace."""
        reason = STATUS.get(result.exit_status, f"exit status {result.exit_status}")
        kind = WorkspaceReplaced if result.exit_status in IN_EACH_OTHERS_WAY else WorkspaceError
        return kind(
            f"The workspace could not be made on the bastion: {reason}",
            context={
                "SSM command": result.command_id,
                "workspace": self.run_command.workspace,
                "said": result.stderr.strip()[:300],
            },
            hint="The workspace that was there is unchanged. Correct the cause and run again."
            + REMEDIES.get(result.exit_status, ""),
        )

    def _combine_or_send_first(self, last: Script, script: Script, purpose: str) -> Script:
        """Return both as one script where that fits one command; else send *last* first, and return *script*."""
        both = last.before(script)
        if self.run_command.room(both) >= 0:
            return both
        self._send(last, purpose)
        return script

    def _send(self, script: Script, purpose: str) -> None:
        result = self.run_command.run(script, purpose)
        if result.exit_status != 0:
            raise self.failed(result)

    @staticmethod
    def _download(whole: ArchiveChunks, url: str, public_key: str) -> Script:
        sealed = seal_text(f'url = "{url}"\n', public_key)
        values = whole.values() | {"SEALED_URL_KEY": sealed.key, "SEALED_URL": sealed.body}
        return Script(("unseal.sh", "transfer.sh", "download.sh"), ["download || return", "unpack || return"], values)

    def _room(self) -> int:
        """Return how many bytes a command that only transfers has left for its part, as base64."""
        empty = ArchiveChunks(self.archive, (b"",))
        part = Script(("transfer.sh",), [empty.receive(1), "unpack || return"], empty.values())
        return max(self.run_command.room(part), 1_000)


def _part(parts: ArchiveChunks, *number: int) -> str:
    return f"transfer part {' '.join(map(str, number)) or 'all'} of {len(parts.pieces)}"


PREFIX = "etl-manager/"
URL_SECONDS = 900
"""How long the presigned URL is valid; the object is deleted as soon as the bastion has it."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """The bucket *name*; *warn* shows a warning where an object could not be deleted.

    Anybody who has a presigned URL can read the object: the URL is a secret, and the caller encrypts it.
    """

    client: Any
    name: str
    warn: Callable[[str], None]

    @contextmanager
    def presigned_upload(self, key: str, data: bytes) -> Iterator[str]:
        """Put *data* under *key* and give a presigned URL of it; afterwards the object is deleted.

        Raises:
            DiscoveryError: When S3 refuses it.
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
            try:
                self.client.delete_object(Bucket=self.name, Key=key)  # also where the answer to PutObject was lost
            except (BotoCoreError, ClientError) as error:
                self.warn(f"[WARNING] s3://{self.name}/{key} could not be deleted: {error}")

"""The emulator: an account of AWS on a loopback port, whose Run Command really runs."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import secrets
import socket
import struct
import threading
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from ssm_emulator import compat
from ssm_emulator.agent import Agent
from ssm_emulator.faults import CallFault, ConnectionCutError, FaultInjector
from ssm_emulator.hosts import Host
from ssm_emulator.own_session import own_session
from ssm_emulator.protocol import (
    AwsError,
    Environ,
    action_of,
    admit,
    body,
    body_length,
    drained,
    error_answer,
    handler_class,
    json_answer,
    server_class,
    service_of,
)
from ssm_emulator.run_command import RunCommandApi

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

_BODY_BYTES = 8 * 1024 * 1024  # more than any call but S3's has: SSM's own limit is 64 KiB of commands
_OBJECT_BYTES = 512 * 1024 * 1024
_LOOPBACK = re.compile(r"(127\.0\.0\.1|(?:[a-z0-9.-]+\.)?localhost)(:[0-9]+)?", re.A | re.I)

# moto keeps its state by account and process: each emulator of a process is an account of its own.
_accounts = itertools.count(123456789012)


class SsmEmulator:
    """AWS's API for one account: SSM Run Command on *hosts*, everything else by moto.

    Only who signs with its keys may call it: what it runs, it runs as you. It listens from `start` to `stop`,
    or as a context manager; one that was stopped stays stopped.

    Args:
        hosts: By instance id, the machines that run commands.
        region: The region it plays; another in a request is another, empty one.
        port: Where to listen on 127.0.0.1; 0 takes a free one.
        latency: Seconds from SendCommand to the start of the command.
        faults: What is to go wrong, see `ssm_emulator.faults`.
        tags: By instance id, what EC2 shows for them.

    Attributes:
        instance_id: The id of the first host, which often is the only one.
        agents: By instance id, the SSM agents; `Agent.online` may be changed at any time.
        account: The account's number.
        access_key_id: Of the only credentials it takes.
        secret_access_key: The same.
        endpoint_url: Where it answers; empty before it was started.

    Raises:
        FaultError: When a fault is not known, or its value cannot be used.
    """

    def __init__(
        self,
        hosts: Mapping[str, Host],
        *,
        region: str = "us-east-1",
        port: int = 0,
        latency: float = 0.0,
        faults: Iterable[str | CallFault] = (),
        tags: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self.region = region
        self.account = str(next(_accounts))
        self.access_key_id = "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))
        self.secret_access_key = secrets.token_urlsafe(30)
        self.endpoint_url = ""
        self.agents = {each: Agent(host, region=region, latency=latency) for each, host in hosts.items()}
        self.instance_id = next(iter(self.agents), "")
        self._port = port
        self._tags = tags or {}
        self._run_command = RunCommandApi(self.agents, account=self.account, faults=FaultInjector())
        self.set_faults(faults)
        self._instances_lock = threading.Lock()
        self._instances_added = False
        self._server: BaseWSGIServer | None = None

    def set_faults(self, faults: Iterable[str | CallFault]) -> None:
        """Let *faults* happen from now on, counted anew, in place of those before.

        Raises:
            FaultError: When a fault is not known, or its value cannot be used.
        """
        injector = FaultInjector(faults)
        for agent in self.agents.values():
            if injector.offline or self._run_command.faults.offline:
                agent.online = not injector.offline
        self._run_command.faults = injector

    def start(self) -> SsmEmulator:
        """Listen, and return itself.

        Raises:
            OSError: When the port is taken.
        """
        # Bound here, as werkzeug ends the whole process when a port is taken.
        with socket.create_server(("127.0.0.1", self._port)) as bound:
            port: int = bound.getsockname()[1]
            server = server_class()("127.0.0.1", port, self, handler_class(), fd=bound.fileno())
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._server = server
        self.endpoint_url = f"http://127.0.0.1:{port}"
        return self

    def stop(self) -> None:
        """Stop listening, and kill what commands left running; idempotent."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for agent in self.agents.values():
            agent.close()
        compat.forget(self.account)

    def __enter__(self) -> SsmEmulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead AWS's tools here."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self, service: str, *, config: Any = None) -> Any:
        """Return a boto3 client of *service* that talks to this emulator only, whatever the environment says.

        Args:
            service: boto3's name for it, such as ``ssm``.
            config: A `botocore.config.Config`.
        """
        from botocore.config import Config

        direct = Config(proxies={})
        return self._session.client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            config=direct.merge(config) if config else direct,
        )

    def sent_commands(self) -> list[dict[str, Any]]:
        """Return the commands SSM was given, the oldest first, as ListCommands shows them; no fault meets this."""
        return [command.summary() for command in self._run_command.commands]

    @cached_property
    def _session(self) -> Any:
        """A boto3 session; it is kept, since each new one reads botocore's models anew."""
        import boto3

        return boto3.session.Session(
            botocore_session=own_session(),
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
        )

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        faults = self._run_command.faults
        try:
            content = self._authenticated(environ)
        except AwsError as error:
            return drained(environ, error_answer(environ, start_response, error))
        environ["wsgi.input"] = io.BytesIO(content)
        action = action_of(environ, content)
        try:
            faults.before(action)
            answer = self._answer(environ, start_response, action, content)
            faults.after(action)
        except AwsError as error:
            return error_answer(environ, start_response, error)
        except ConnectionCutError:
            _cut(environ)
        return answer

    def _authenticated(self, environ: Environ) -> bytes:
        """Return the body of a request that comes from a program of this machine and is signed with our key.

        Raises:
            AwsError: When it does not, or is not.
        """
        from botocore.credentials import Credentials

        from ssm_emulator.signature import SignedRequest

        # A page in a browser sends Origin; a foreign name that leads to 127.0.0.1 (DNS rebinding) is in Host.
        if "HTTP_ORIGIN" in environ or not _LOOPBACK.fullmatch(environ.get("HTTP_HOST", "")):
            raise AwsError("AccessDeniedException", "Only programs of this machine may call this, not web pages.", 403)
        credentials = Credentials(self.access_key_id, self.secret_access_key)
        request = SignedRequest(environ)
        if request.service == "s3":  # its body may be long, and the headers say what the signature must be
            length = body_length(environ, _OBJECT_BYTES)
            request.check(credentials)
            admit(environ)
            content = body(environ, length)
        else:
            content = body(environ, body_length(environ, _BODY_BYTES))
            request.check(credentials, content)
            admit(environ)
        request.check_content(content)
        return content

    def _answer(self, environ: Environ, start_response: Any, action: str, content: bytes) -> Iterable[bytes]:
        actions = self._run_command.actions
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("AmazonSSM.") and action in actions:
            if service_of(environ) != "ssm":
                raise AwsError(
                    "InvalidSignatureException", "Credential should be scoped to correct service: 'ssm'.", 403
                )
            return json_answer(start_response, actions[action](_request(action, content)))
        if service_of(environ) == "ec2":
            self._add_instances()
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self.account
        answer: Iterable[bytes] = compat.application()(environ, start_response)
        return answer

    def _add_instances(self) -> None:
        """Let EC2 know the hosts, before it is first asked."""
        with self._instances_lock:
            if not self._instances_added:
                for instance_id in self.agents:
                    compat.add_instance(self.account, self.region, instance_id, self._tags.get(instance_id, {}))
                self._instances_added = True


def _request(action: str, content: bytes) -> dict[str, Any]:
    """Return the request in *content*; boto3 checks what it sends by AWS's model, others may send anything.

    Raises:
        AwsError: When it is no request of this *action*.
    """
    from botocore.validate import ParamValidator

    try:
        request = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise AwsError("SerializationException", "The body is not JSON.") from None
    report = ParamValidator().validate(request, _ssm_model().operation_model(action).input_shape)
    if report.has_errors():
        raise AwsError("ValidationException", report.generate_report())
    return dict(request)


@cache
def _ssm_model() -> Any:
    """Return AWS's own model of SSM, as botocore has it."""
    return own_session().get_service_model("ssm")


def _cut(environ: Environ) -> None:
    """Reset the connection: a close with nothing to linger for sends RST instead of FIN.

    The server's own files keep the socket open, so a socket that is at its end is put in its place.
    """
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ended, peer = socket.socketpair()
    with ended, peer:
        os.dup2(ended.fileno(), connection.fileno(), inheritable=False)
    raise ConnectionResetError

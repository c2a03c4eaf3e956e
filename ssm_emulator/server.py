"""The emulator: an account of AWS on a loopback port, whose Run Command really runs."""

from __future__ import annotations

import io
import itertools
import json
import os
import secrets
import socket
import struct
import threading
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ssm_emulator import compat
from ssm_emulator.agent import Agent
from ssm_emulator.faults import CallFault, ConnectionCutError, FaultInjector
from ssm_emulator.hosts.base import Host
from ssm_emulator.own_session import own_session
from ssm_emulator.protocol import (
    AwsError,
    Environ,
    access_keys,
    action_of,
    body,
    error_answer,
    json_answer,
    service_of,
)
from ssm_emulator.run_command import RunCommandApi

if TYPE_CHECKING:
    from types import TracebackType

    from werkzeug.serving import BaseWSGIServer

# moto keeps its state by account and process: each emulator of a process is an account of its own.
_accounts = itertools.count(123456789012)


class SsmEmulator:
    """AWS's API for one account: SSM Run Command on *hosts*, everything else by moto.

    Only who knows the access key may call it: what it runs, it runs as you. It listens from `start` to `stop`,
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
        from werkzeug.serving import make_server

        # Bound here, as werkzeug ends the whole process when a port is taken.
        with socket.create_server(("127.0.0.1", self._port)) as bound:
            port: int = bound.getsockname()[1]
            server = make_server(
                "127.0.0.1", port, self, threaded=True, request_handler=_quiet_handler(), fd=bound.fileno()
            )
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        content = body(environ)
        environ["wsgi.input"] = io.BytesIO(content)
        action, faults = action_of(environ, content), self._run_command.faults
        try:
            self._authenticate(environ)
            faults.before(action)
            answer = self._answer(environ, start_response, action, content)
            faults.after(action)
        except AwsError as error:
            return error_answer(environ, start_response, error)
        except ConnectionCutError:
            _cut(environ)
        return answer

    def _authenticate(self, environ: Environ) -> None:
        if self.access_key_id not in access_keys(environ):
            raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.", 403)

    def _answer(self, environ: Environ, start_response: Any, action: str, content: bytes) -> Iterable[bytes]:
        actions = self._run_command.actions
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("AmazonSSM.") and action in actions:
            return json_answer(start_response, actions[action](json.loads(content or b"{}")))
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


def _quiet_handler() -> Any:
    from werkzeug.serving import WSGIRequestHandler

    class Handler(WSGIRequestHandler):
        """werkzeug's handler, without a line on the terminal for every request."""

        def log_request(self, *_: Any, **__: Any) -> None:
            """Say nothing of requests; errors are still told."""

    return Handler

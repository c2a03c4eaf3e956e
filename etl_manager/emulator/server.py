"""The emulated AWS: moto as the control plane, with a Run Command that really runs, on one loopback port."""

from __future__ import annotations

import io
import itertools
import json
import os
import secrets
import socket
import struct
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from etl_manager.emulator.agent import Agent
from etl_manager.emulator.faults import ConnectionCutError
from etl_manager.emulator.host import BastionHost
from etl_manager.emulator.schedule import Schedule
from etl_manager.emulator.ssm import RunCommand
from etl_manager.emulator.wire import AwsError, Environ, body, error_answer, is_s3, json_answer

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

# moto keeps its state by account and process: each emulated AWS of a process is an account of its own.
_accounts = itertools.count(123456789012)
_OBJECT_ACTIONS = {"PUT": "PutObject", "GET": "GetObject", "DELETE": "DeleteObject"}
DEFAULT_INSTANCE = "i-0e5ca1ab1e0ba5710"


class EmulatedAws:
    """AWS's API for one account with one bastion.

    Only who knows the access key may call it: what it runs, it runs as the operator.

    Args:
        bastion: The machine behind Run Command.
        region: The region it plays; another in a request is another, empty one.
        port: Where to listen on 127.0.0.1; 0 takes a free one.
        latency: Seconds from SendCommand to the start of the command.
        faults: What is to go wrong, as `etl_manager.emulator.schedule` reads it.
        instance_id: The bastion's id.

    Raises:
        ConfigError: When a fault is not known.
    """

    def __init__(
        self,
        bastion: BastionHost,
        *,
        region: str,
        port: int = 0,
        latency: float = 0.0,
        faults: Iterable[str] = (),
        instance_id: str | None = None,
    ) -> None:
        self.region = region
        self.account = str(next(_accounts))
        self.instance_id = instance_id or DEFAULT_INSTANCE
        self.access_key_id = "AKIA" + "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for _ in range(16))
        self.secret_access_key = secrets.token_urlsafe(30)
        self.endpoint_url = ""
        self._port = port
        self._faults = Schedule(faults)
        self._agent = Agent(bastion, region=region, latency=latency)
        self._agent.online = not self._faults.offline
        self._ssm = RunCommand(self._agent, instance_id=self.instance_id, account=self.account, faults=self._faults)
        self._server: BaseWSGIServer | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            OSError: When the port is taken.
        """
        from werkzeug.serving import make_server

        from etl_manager.emulator.moto_account import application

        self._moto = application()
        # Bound here, as werkzeug ends the whole process when a port is taken.
        with socket.create_server(("127.0.0.1", self._port)) as bound:
            port: int = bound.getsockname()[1]
            server = make_server(
                "127.0.0.1", port, self, threaded=True, request_handler=_quiet_handler(), fd=bound.fileno()
            )
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._server = server
        self.endpoint_url = f"http://127.0.0.1:{port}"

    def stop(self) -> None:
        """Stop listening, and kill what commands left running; idempotent."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self._agent.close()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        content = body(environ)
        environ["wsgi.input"] = io.BytesIO(content)
        action = _action(environ, content)
        try:
            self._authenticate(environ)
            self._faults.before(action)
            answer = self._answer(environ, start_response, action, content)
            self._faults.after(action)
        except AwsError as error:
            return error_answer(environ, start_response, error)
        except ConnectionCutError:
            _cut(environ)
        return answer

    def _answer(self, environ: Environ, start_response: Any, action: str, content: bytes) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("AmazonSSM.") and action in self._ssm.actions:
            return json_answer(start_response, self._ssm.actions[action](json.loads(content or b"{}")))
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self.account
        answer: Iterable[bytes] = self._moto(environ, start_response)
        return answer

    def _authenticate(self, environ: Environ) -> None:
        """Refuse who does not name our access key; the signature itself is not checked."""
        query = parse_qs(environ.get("QUERY_STRING", ""))
        presigned = [*query.get("X-Amz-Credential", []), *query.get("AWSAccessKeyId", [])]
        signed = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2]
        if self.access_key_id not in [each.partition("/")[0] for each in (signed, *presigned)]:
            raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.", 403)


def _action(environ: Environ, content: bytes) -> str:
    """Return the action's name: of a JSON request, of one of the query protocol, or what S3's method stands for."""
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return str(target).rpartition(".")[2]
    if is_s3(environ):
        return _OBJECT_ACTIONS.get(environ["REQUEST_METHOD"], "")
    return parse_qs(content.decode(errors="replace")).get("Action", [""])[0]


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
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class Handler(MotoRequestHandler):
        """Moto's handler, without a line on the terminal for every request."""

        def log_request(self, *_: Any, **__: Any) -> None:
            """Say nothing of requests; errors are still told."""

    return Handler

"""The container engine: found where it answers, or started for a run where there is only Podman's program.

Docker's API is spoken by Docker and by Podman alike; the few places where they differ ask `Engine.podman`.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from etl_manager.errors import TargetError
from etl_manager.project import PACKAGED

_START_SECONDS = 15
# The service ends when its standard input does: with us, however we end.
_SERVICE = 'podman system service --time=0 "$1" & read -r _; kill $!; wait'
_REMEDY = """\
Start Docker or Podman, or name the engine's socket: export DOCKER_HOST=unix:///path/to/socket
On Debian, as root, .ci/containers installs Podman and builds the images.
Without containers there is the local target: leave out --target container."""


class Engine:
    """One engine that answers.

    Attributes:
        podman: Whether it is Podman.
        client_words: What testcontainers' objects are given to reach it.
        client: The Docker SDK's client.
    """

    def __init__(self, url: str, service: subprocess.Popen[bytes] | None = None) -> None:
        import docker.client
        from testcontainers.core.config import testcontainers_config

        # Its reaper is a container of an image more, which a site's own registry may lack: the target cleans up.
        testcontainers_config.ryuk_disabled = True
        self._service = service
        self.client_words: dict[str, Any] = {"environment": {**os.environ, "DOCKER_HOST": url}}
        self.client: Any = docker.client.DockerClient.from_env(**self.client_words)
        parts = self.client.version().get("Components") or []
        self.podman = any("podman" in str(part["Name"]).lower() for part in parts)

    @classmethod
    def find(cls) -> Engine:
        """Return the engine at ``DOCKER_HOST``, or else at a usual socket, or else Podman's own, started for us.

        Raises:
            TargetError: When none answers; it says where it was looked for.
        """
        tried = []
        for url in _urls():
            try:
                return cls(url)
            except Exception as error:  # noqa: BLE001  # the SDK lets through what its transports raise
                tried.append(f"{url}: {_brief(error)}")
        if not os.environ.get("DOCKER_HOST") and shutil.which("podman"):
            try:
                return cls._serve()
            except Exception as error:  # noqa: BLE001
                tried.append(f"podman system service: {_brief(error)}")
        looked = [f"Tried {each}" for each in tried] or [
            "There is no socket of Docker or Podman, and no podman program."
        ]
        raise TargetError("No container engine answers", hint="\n".join([*looked, _REMEDY]))

    def close(self) -> None:
        """Let go of the engine, and end the service that was started for us; containers live on without it."""
        self.client.close()
        service, self._service = self._service, None
        if service is not None:
            _end(service)

    @property
    def program(self) -> str:
        """The command line by which people talk to it."""
        return "podman" if self.podman else "docker"

    @classmethod
    def _serve(cls) -> Engine:
        folder = Path(tempfile.mkdtemp(prefix="etl-manager-podman-"))
        url = f"unix://{folder}/socket"
        service = subprocess.Popen(
            ["sh", "-c", f'{_SERVICE}; rm -rf "$2"', "sh", url, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us: the service is still needed to clean up
        )
        deadline = time.monotonic() + _START_SECONDS
        try:
            while not _listens(folder / "socket") and time.monotonic() < deadline:
                time.sleep(0.02)
            return cls(url, service)
        except BaseException:
            _end(service)
            raise


@contextlib.contextmanager
def engine_errors(what: str, remedy: str = "") -> Iterator[None]:
    """Raise a `TargetError` where the engine refuses, or cannot do, *what*."""
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise TargetError(f"The container engine could not {what}: {_brief(error)}", hint=remedy) from error


def _listens(path: Path) -> bool:
    """Return whether *path* takes connections; it is there a moment before it does."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _urls() -> Iterator[str]:
    """Yield where an engine may answer."""
    from testcontainers.core.docker_client import get_docker_host

    if configured := get_docker_host():  # the variable, or what `docker context use` has chosen
        yield configured
        if os.environ.get("DOCKER_HOST"):
            return
    folders = [Path("/var/run"), Path("/run/podman")]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        folders += [Path(runtime), Path(runtime) / "podman"]
    for folder in folders:
        for name in ("docker.sock", "podman.sock"):
            if (folder / name).exists():
                yield f"unix://{folder / name}"


def _brief(error: Exception) -> str:
    """Return what *error* says in a line: the engine's own words where it has spoken."""
    said = str(getattr(error, "explanation", None) or error).strip()
    return said.splitlines()[-1][:500] if said else type(error).__name__


def _end(service: subprocess.Popen[bytes]) -> None:
    if service.stdin is not None:
        service.stdin.close()
    service.wait(_START_SECONDS)


OFFICIAL_POSTGRES = "postgres:16"
"""The official image, of the major version of the user's cluster."""
BASTION_BASE = "amazonlinux:2023"
"""What the bastion image is built on: the usual bastion's own system."""
LOCAL = "localhost/etl-manager/"
"""Before the names of what ``containers/base-images.sh`` builds."""
VARIABLES = {"postgres": "PROVISION_POSTGRES_IMAGE", "bastion": "PROVISION_BASTION_IMAGE"}
"""These win over config.json: they are about this machine."""

_DOCKERFILE = PACKAGED / "containers/bastion/Dockerfile"
_IMAGE_REMEDY = """\
A site with its own registry names its image: container.images.{role} in config.json, or the variable {variable}.
Where no registry can be reached, containers/base-images.sh builds the images from Debian's packages."""


class ImageResolver:
    """Finds an image on *engine*, or fetches or builds it; *status* shows what takes long."""

    def __init__(self, engine: Engine, status: Callable[[str], None]) -> None:
        self._engine = engine
        self._status = status

    def postgres(self, named: str | None) -> str:
        """Return the name of the server's image, which is on the engine then.

        Args:
            named: What config.json asks for; it must understand ``POSTGRES_USER``, ``POSTGRES_PASSWORD_FILE`` and
                the command ``postgres`` with options, as the official image does.

        Raises:
            TargetError: When it cannot be had.
        """
        if chosen := os.environ.get(VARIABLES["postgres"]) or named:
            return self._had(chosen, "postgres")
        for name in (OFFICIAL_POSTGRES, f"{LOCAL}postgres"):
            if self.present(name):
                return name
        return self._had(OFFICIAL_POSTGRES, "postgres")

    def bastion(self, named: str | None) -> str:
        """Return the name of the bastion's image, which is on the engine then.

        Args:
            named: What config.json asks for; by default it is built from ``containers/bastion/Dockerfile``.

        Raises:
            TargetError: When it cannot be had or built.
        """
        if chosen := os.environ.get(VARIABLES["bastion"]) or named:
            return self._had(chosen, "bastion")
        base = next((name for name in (BASTION_BASE, f"{LOCAL}base") if self.present(name)), None)
        base = base or self._had(BASTION_BASE, "bastion")
        recipe = hashlib.sha256(_DOCKERFILE.read_bytes() + base.encode()).hexdigest()[:12]
        name = f"{LOCAL}bastion:{recipe}"
        if not self.present(name):
            self._build(name, base)
        return name

    def present(self, name: str) -> bool:
        """Return whether the engine has *name* already."""
        import docker.errors

        with engine_errors(f"look for the image {name}"):
            try:
                self._engine.client.images.get(name)
            except docker.errors.ImageNotFound:
                return False
            return True

    def _had(self, name: str, role: str) -> str:
        if not self.present(name):
            self._status(f"fetching the image {name}")
            remedy = _IMAGE_REMEDY.format(role=role, variable=VARIABLES[role])
            with engine_errors(f"fetch the image {name}", remedy):
                self._engine.client.images.pull(name)
        return name

    def _build(self, name: str, base: str) -> None:
        import docker.errors
        from testcontainers.core.image import DockerImage

        self._status(f"building the bastion's image on {base}")
        image = DockerImage(
            _DOCKERFILE.parent,
            docker_client_kw=self._engine.client_words,
            tag=name,
            clean_up=False,
            buildargs={"BASE": base},
        )
        remedy = _IMAGE_REMEDY.format(role="bastion", variable=VARIABLES["bastion"])
        try:
            with engine_errors("build the bastion's image", remedy):
                image.build()
        except TargetError as error:
            if isinstance(error.__cause__, docker.errors.BuildError):
                said = "".join(str(part.get("stream", "")) for part in error.__cause__.build_log)
                error.context["last words"] = " / ".join(said.strip().splitlines()[-3:])
            raise
        finally:
            image.get_docker_client().client.close()

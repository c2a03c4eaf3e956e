"""Which images the containers are made from: named ones, the usual ones, or those built from Debian's packages."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

from etl_manager.errors import TargetError
from etl_manager.project_files import PACKAGED
from etl_manager.targets.container_engine import Engine, asking

OFFICIAL_POSTGRES = "postgres:16"
"""The official image, of the major version of the user's cluster."""
BASTION_BASE = "amazonlinux:2023"
"""What the bastion image is built on: the usual bastion's own system."""
LOCAL = "localhost/etl-manager/"
"""Before the names of what ``containers/base-images.sh`` builds."""
VARIABLES = {"postgres": "PROVISION_POSTGRES_IMAGE", "bastion": "PROVISION_BASTION_IMAGE"}
"""These win over config.json: they tell of this machine."""

_DOCKERFILE = PACKAGED / "containers/bastion/Dockerfile"
_REMEDY = """\
A site with its own registry names its image: container.images.{role} in config.json, or the variable {variable}.
Where no registry can be reached, containers/base-images.sh builds the images from Debian's packages."""


class Images:
    """Finds an image on *engine*, or fetches or builds it; *status* is told what takes long."""

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

        with asking(f"look for the image {name}"):
            try:
                self._engine.client.images.get(name)
            except docker.errors.ImageNotFound:
                return False
            return True

    def _had(self, name: str, role: str) -> str:
        if not self.present(name):
            self._status(f"fetching the image {name}")
            remedy = _REMEDY.format(role=role, variable=VARIABLES[role])
            with asking(f"fetch the image {name}", remedy):
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
        try:
            with asking("build the bastion's image", _REMEDY.format(role="bastion", variable=VARIABLES["bastion"])):
                image.build()
        except TargetError as error:
            if isinstance(error.__cause__, docker.errors.BuildError):
                said = "".join(str(part.get("stream", "")) for part in error.__cause__.build_log)
                error.where["last words"] = " / ".join(said.strip().splitlines()[-3:])
            raise
        finally:
            image.get_docker_client().client.close()

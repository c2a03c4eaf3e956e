"""Where a run took place and what it was made of: what a reader needs to know before believing a result."""

from __future__ import annotations

import platform

from etl_manager.config import Config
from etl_manager.provenance import Source
from etl_manager.provisioning import Run

UNKNOWN = "not known: the environment was not opened"
EMULATED = "yes: what answered is not AWS"


def facts(config: Config, target: str, run: Run | None, *, source: Source, digest: str) -> dict[str, str]:
    """Return name and value of each fact, in the order they are read.

    Args:
        config: What was to be there.
        target: The target that was asked for.
        run: The run; None where the environment was not opened.
        source: The commit.
        digest: That of ``sql/``.
    """
    known = {
        "target": target,
        "emulated": UNKNOWN,
        "account": UNKNOWN,
        "region": config.region,
        "stack": UNKNOWN,
        "cluster": UNKNOWN,
        "database": config.database,
        "tenants": str(len(config.tenants)),
        "postgresql": UNKNOWN,
        "psql": UNKNOWN,
        "bastion": UNKNOWN,
        "commit": str(source),
        "sql-digest": f"sha256:{digest}",
        "python": platform.python_version(),
    }
    if run is not None:
        place, bastion = run.environment, run.batches.bastion
        known |= {
            "target": place.target,
            "emulated": EMULATED if place.emulated else "no",
            "account": place.account,
            "region": place.region,
            "stack": place.stack or "none: aurora.endpoint",
            "cluster": place.cluster_arn or f"{place.host}:{place.port}",
            "postgresql": run.server_version or "not known: the database did not answer",
            "psql": bastion.known.psql if bastion.known else "not known: the bastion did not answer",
            "bastion": bastion.run_command.instance_id,
        }
    return known

"""A verdict made by hand."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from etl_manager.gate.prerequisites import PREREQUISITES
from etl_manager.gate.verdict import PrerequisiteResult, Scenarios, Source, Verdict

CLUSTER_ARN = "arn:aws:rds:us-east-1:123456789012:cluster:analytics"


def made_verdict(**changes: Any) -> Verdict:
    """Return a ready verdict of a cluster on AWS, but for *changes*."""
    parts: dict[str, Any] = {
        "schema_version": 1,
        "ready": True,
        "reasons": [],
        "target": "aws",
        "emulated": False,
        "mode": "provision",
        "region": "us-east-1",
        "account": "123456789012",
        "cluster": CLUSTER_ARN,
        "endpoint": "analytics.example:5432",
        "database": "multitenant_analytics",
        "tenants": ["tenant_a"],
        "tables": ["users"],
        "prerequisites": [
            PrerequisiteResult(id=item.id, title=item.title, status="passed", detail="found") for item in PREREQUISITES
        ],
        "data_filter": "include: multitenant_analytics.tenant_a.users",
        "phases": [],
        "scenarios": Scenarios(promised=9, passed=7, failed=0, not_run=0, not_applicable=2),
        "source": Source(
            commit="a" * 40, dirty=False, sql_sha256="b" * 64, config="config.json", config_sha256="c" * 64
        ),
        "checked_at": datetime(2026, 1, 1, tzinfo=timezone.utc),
        "run_id": "0123456789ab",
    }
    return Verdict(**parts | changes)

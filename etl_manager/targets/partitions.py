"""Which endpoints are AWS's own, in every partition that botocore knows."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit


def is_aws(url: str, service: str, session: Any) -> bool:
    """Return whether AWS itself answers at *url*, an endpoint of *service*.

    The name must be below a partition's domain and hold the service's own label: load balancers and machines of AWS's
    customers have names below the same domains.

    Args:
        url: The endpoint.
        service: The service's name in it, such as ``ssm``.
        session: A botocore session; its data lists the partitions.
    """
    host = (urlsplit(url).hostname or "").lower()
    partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
    outputs = [partition["outputs"] for partition in partitions]
    suffixes = {each.get(name, "") for each in outputs for name in ("dnsSuffix", "dualStackDnsSuffix")} - {""}
    below = next((suffix for suffix in suffixes if host.endswith(f".{suffix}")), None)
    return below is not None and not {service, f"{service}-fips"}.isdisjoint(host.removesuffix(below).split("."))

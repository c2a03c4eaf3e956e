"""What the prerequisites are held against: everything one run found, gathered when it is first asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from etl_manager.config import Config
from etl_manager.environment import Environment
from etl_manager.gate import cluster
from etl_manager.gate.catalogue import Catalogue, Name, Shape
from etl_manager.gate.data_filter import DataFilter, examine
from etl_manager.verification import Verification


@dataclass(frozen=True)
class Facts:
    """What the verification printed, what stands in the catalogue, and what AWS says; *at* is when that was read."""

    config: Config
    environment: Environment
    verification: Verification
    catalogue: Catalogue
    at: datetime

    @cached_property
    def data_filter(self) -> DataFilter:
        """The data filter, and what is wrong with it."""
        return examine(self.config, self.catalogue)

    @cached_property
    def cluster(self) -> cluster.Cluster:
        """What RDS says of the cluster.

        Raises:
            DiscoveryError: When it cannot be asked.
        """
        return cluster.read(self.environment)

    @property
    def cluster_arn(self) -> str:
        """The cluster's ARN: as RDS gave it, where it was asked, else as the stack has it."""
        asked = self.__dict__.get("cluster")
        return asked.arn if isinstance(asked, cluster.Cluster) else self.environment.cluster_arn

    @cached_property
    def filtered(self) -> dict[Name, Shape]:
        """The tables that are to be replicated, and those the filter takes beside them, as far as they exist."""
        wanted = {(tenant, "users"): None for tenant in self.config.tenants}
        names = [*wanted, *sorted(set(self.data_filter.taken) - wanted.keys())]
        return {name: self.catalogue.tables[name] for name in names if name in self.catalogue.tables}

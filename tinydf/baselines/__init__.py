"""Networks of others, trained by the same recipe on the same data, to compare TinyDF with."""

from tinydf.baselines.table import NETWORKS, build_network

__all__ = ["NETWORKS", "build_network"]

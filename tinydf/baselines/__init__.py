"""Published networks of others, trained by the same recipe on the same data, for comparison."""

from tinydf.baselines.table import NETWORKS, build_network

__all__ = ["NETWORKS", "build_network"]

"""Networks of others, trained by the same recipe on the same data, so that what TinyDF's design gives is a figure."""

from tinydf.baselines.table import NETWORKS, build_network

__all__ = ["NETWORKS", "build_network"]

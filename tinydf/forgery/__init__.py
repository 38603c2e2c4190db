"""The TinyDF classifier network."""

from tinydf.forgery.model import TinyDF

__all__ = ["TinyDF"]

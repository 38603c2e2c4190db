"""Inputs (files, cameras, streams, own frames) -> upright frames with true time stamps."""

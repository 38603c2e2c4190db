"""Checkpoint -> OpenVINO IR."""

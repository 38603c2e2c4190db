"""Checkpoint -> TensorRT plan."""

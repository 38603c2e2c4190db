"""Checkpoint -> Core ML package."""

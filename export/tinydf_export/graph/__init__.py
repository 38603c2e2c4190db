"""Checkpoint -> ONNX graph, and rewrites of graphs that change no result."""

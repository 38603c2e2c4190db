"""Untrusted files are decoded in a child process: a crash, a hang or excessive memory costs one input."""

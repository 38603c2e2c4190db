"""The face detector: a YuNet-style network and its training."""

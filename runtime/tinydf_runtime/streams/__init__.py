"""Cameras and streams: read, judged and told while they play."""

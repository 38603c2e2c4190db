"""Cameras and streams: read, scored and judged while they play."""

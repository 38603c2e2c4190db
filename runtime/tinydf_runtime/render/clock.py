"""Seconds -> a time that people read."""

from __future__ import annotations


def clock(time_s: float) -> str:
    """Returns a time as minutes and seconds, hours only where there are some, tenths only where they are not 0."""
    tenths = round(max(0.0, time_s) * 10)
    hours, minutes, seconds = tenths // 36000, tenths // 600 % 60, tenths // 10 % 60
    tail = f".{tenths % 10}" if tenths % 10 else ""
    return f"{hours}:{minutes:02d}:{seconds:02d}{tail}" if hours else f"{minutes}:{seconds:02d}{tail}"

"""Calibration of exported networks."""

"""Monitoring of continuous operation: log lines, Prometheus metrics and drift."""

"""What those who run TinyDF day after day watch it by: log lines, figures for Prometheus, and drift."""

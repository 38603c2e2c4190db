"""The commands of the runtime, and what every ``tinydf-`` command shares."""

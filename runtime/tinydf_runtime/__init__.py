"""The TinyDF runtime: video in, verdict with evidence out."""

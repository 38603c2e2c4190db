"""Scores -> verdict: evidence, rules, segments, and the pictures that show it."""

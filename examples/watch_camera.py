"""Prints a running verdict for every face in front of the first camera, until Ctrl-C."""

from tinydf_runtime import Analyzer

with Analyzer() as analyzer:
    for result in analyzer.stream(0):
        for face in result.faces:
            print(
                f"{result.frame.time_s:7.1f} s  person {face.track}: {face.verdict.label} {face.fake_probability:.0%}"
            )

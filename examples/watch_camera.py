"""Prints a running verdict for every face in front of the first camera, until Ctrl-C."""

from tinydf_runtime import Analyzer

with Analyzer() as analyzer:
    for moment in analyzer.stream(0):
        for face in moment.faces:
            print(
                f"{moment.frame.time_s:7.1f} s  person {face.track}: {face.verdict.label} {face.fake_probability:.0%}"
            )

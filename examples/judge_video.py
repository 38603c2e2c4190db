"""Judges the video or picture named on the command line: python examples/judge_video.py clip.mp4"""

import sys

from tinydf_runtime import Analyzer

with Analyzer() as analyzer:
    (found,) = analyzer.analyze(sys.argv[1]).inputs
print(found.path, found.verdict, found.fake_probability, *found.reasons, found.message or "")
for track in found.tracks:
    print(f"person {track.id}: {track.verdict}, {track.first_s:.1f}-{track.last_s:.1f} s, {track.faces_used} faces")
for segment in found.segments:
    print(f"person {segment.track} looks forged from {segment.start_s:.1f} s to {segment.end_s:.1f} s")

"""Frame -> faces: detection, tracking, re-identification, crops and their quality."""

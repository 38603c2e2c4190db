"""Writes a corpus: python -m fuzzing.make KIND FOLDER SEED COUNT (0: all)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import cast

from fuzzing import bases, networks
from fuzzing.case import Case, choose, write_corpus
from fuzzing.run_models import CLASSIFIER, PHOTO

MAKERS = {
    "media": ("media_damage", "media_headers", "media_odd"),
    "models": ("models_metadata", "models_outputs", "models_endless", "models_structure", "models_bytes"),
    "plans": ("plans", "openvino_pairs", "coreml_packages"),
    "tables": ("checkpoints", "training_states", "tables"),
}


def all_cases(kind: str, seed: int) -> Iterator[Case]:
    """Yields the cases of a kind."""
    modules = (import_module(f"fuzzing.{name}") for name in MAKERS[kind])
    return chain.from_iterable(cast(Iterator[Case], module.cases(seed)) for module in modules)


if __name__ == "__main__":
    kind, folder, seed, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PHOTO).write_bytes(bases.picture("photo.png"))
    (folder / CLASSIFIER).write_bytes(networks.sealed(networks.small()))
    write_corpus(choose(all_cases(kind, seed), count or None, seed), folder)

from pathlib import Path

import pytest

from tinydf.data.drawn_faces import write_drawn_faces
from tinydf.data.photos import Photo, read_photos

DRAWN_FACES = 48


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    write_drawn_faces(folder, DRAWN_FACES)
    return folder


@pytest.fixture(scope="session")
def drawn_photos(drawn_folder: Path) -> list[Photo]:
    return read_photos(drawn_folder, "train")

import pytest
import torch

from tinydf.data.ondevice.store import PackedFaces, pack_faces
from tinydf.data.photos import Photo


@pytest.fixture(scope="session")
def packed(drawn_photos: list[Photo]) -> PackedFaces:
    return pack_faces(drawn_photos, torch.device("cpu"))

import numpy as np
import torch

from tinydf.data.ondevice.faces import draw_faces
from tinydf.data.ondevice.randomness import open_randomness
from tinydf.data.ondevice.store import PackedFaces


def test_half_of_the_faces_are_mirrored_with_their_landmarks(packed: PackedFaces) -> None:
    faces = draw_faces(packed, np.zeros(64), open_randomness((1,), torch.device("cpu")))
    mirrored = 0
    for image, photo, box, landmarks in zip(faces.images, faces.photos, faces.boxes_xyxy, faces.landmarks, strict=True):
        window = packed.windows[photo].float()
        side = window.shape[-1]
        # The person's right eye stays on the left of the picture, whichever eye it is.
        assert landmarks[0, 0] < landmarks[1, 0]
        assert box[0] < landmarks[:, 0].min() < landmarks[:, 0].max() < box[2]
        if torch.equal(image, window):
            np.testing.assert_array_equal(landmarks, packed.landmarks[photo])
        else:
            assert torch.equal(image, window.flip(-1))
            np.testing.assert_allclose(landmarks[0, 0], side - packed.landmarks[photo, 1, 0])
            mirrored += 1
    assert 16 < mirrored < 48


def test_some_of_the_faces_can_be_taken(packed: PackedFaces) -> None:
    faces = draw_faces(packed, np.linspace(0, 1, 5), open_randomness((1,), torch.device("cpu")))
    some = faces.take(np.array((3, 1)))
    assert torch.equal(some.images, faces.images[[3, 1]])
    assert some.ease.tolist() == [0.75, 0.25]
    np.testing.assert_array_equal(some.widths_px(), faces.widths_px()[[3, 1]])

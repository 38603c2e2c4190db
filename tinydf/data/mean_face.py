"""Five landmarks -> outline of the face, from a mean face and its first modes of variation.

Derived from the hand-placed points of the Face Research Lab London Set (DeBruine, L. & Jones, B., 2017,
doi 10.6084/m9.figshare.5047666, CC BY 4.0): 102 neutral frontal faces, brought by a similarity transform onto five
canonical points; 38 of their 189 points, and their first modes of variation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Right eye, left eye, nose tip, right and left mouth corner (right = the person's), unit square, y down.
FIVE_POINTS = np.array(((0.342, 0.462), (0.657, 0.46), (0.5, 0.641), (0.371, 0.825), (0.632, 0.823)))

# Name of a group -> its rows in MEAN_POINTS and in each of the MODES.
GROUPS = {
    "jaw": slice(0, 15),
    "right_brow": slice(15, 20),
    "left_brow": slice(20, 25),
    "hairline": slice(25, 30),
    "nose": slice(30, 34),
    "mouth": slice(34, 38),
}
MEAN_POINTS = np.array(
    (
        (0.129, 0.505),
        (0.139, 0.623),
        (0.162, 0.751),
        (0.184, 0.836),
        (0.223, 0.918),
        (0.306, 0.999),
        (0.405, 1.049),
        (0.518, 1.065),
        (0.635, 1.038),
        (0.732, 0.978),
        (0.804, 0.891),
        (0.835, 0.811),
        (0.85, 0.733),
        (0.866, 0.603),
        (0.867, 0.484),
        (0.189, 0.43),
        (0.217, 0.375),
        (0.266, 0.349),
        (0.333, 0.348),
        (0.42, 0.377),
        (0.564, 0.371),
        (0.649, 0.338),
        (0.714, 0.335),
        (0.767, 0.358),
        (0.802, 0.409),
        (0.172, 0.268),
        (0.27, 0.097),
        (0.485, 0.068),
        (0.703, 0.091),
        (0.811, 0.253),
        (0.459, 0.437),
        (0.434, 0.672),
        (0.474, 0.71),
        (0.569, 0.669),
        (0.374, 0.828),
        (0.505, 0.78),
        (0.638, 0.818),
        (0.51, 0.871),
    )
)
# One standard deviation each.
MODES = np.array(
    (
        (
            (-0.003, 0.042),
            (-0.001, 0.04),
            (-0.001, 0.04),
            (-0.002, 0.026),
            (-0.009, 0.016),
            (-0.005, 0.012),
            (-0.003, 0.008),
            (0.002, 0.005),
            (0.004, 0.007),
            (0.007, 0.011),
            (0.007, 0.014),
            (0.001, 0.025),
            (-0.001, 0.038),
            (-0.001, 0.038),
            (0.001, 0.036),
            (0.001, 0.013),
            (-0.001, 0.011),
            (-0.003, 0.007),
            (-0.003, 0.003),
            (0.001, -0),
            (-0.003, 0.001),
            (0.001, 0.002),
            (0, 0.006),
            (-0.001, 0.01),
            (-0.003, 0.013),
            (-0.001, 0.024),
            (-0.004, 0.015),
            (-0.004, 0.015),
            (-0.006, 0.014),
            (-0.005, 0.019),
            (-0, 0.001),
            (-0, -0.009),
            (-0.001, -0.007),
            (-0, -0.009),
            (0, 0.001),
            (-0, -0.006),
            (-0, 0),
            (-0, -0.01),
        ),
        (
            (-0.017, -0.001),
            (-0.017, 0.001),
            (-0.016, 0.001),
            (-0.017, -0.005),
            (-0.023, -0.012),
            (-0.014, -0.006),
            (-0.004, -0.004),
            (0.003, -0.005),
            (0, -0.007),
            (-0.006, -0.005),
            (-0.01, 0.002),
            (-0.01, -0.002),
            (-0.011, -0.006),
            (-0.012, -0.009),
            (-0.015, -0.01),
            (-0.009, 0.008),
            (-0.008, 0.006),
            (-0.007, 0.006),
            (-0.005, 0.006),
            (-0.001, 0.007),
            (-0.007, 0.003),
            (-0.006, 0.001),
            (-0.008, 0),
            (-0.007, -0),
            (-0.006, 0.001),
            (-0.013, 0.007),
            (-0.022, 0.005),
            (-0.015, 0.005),
            (-0.012, -0.001),
            (-0.014, -0.003),
            (-0.004, -0),
            (0.001, 0),
            (0.001, -0.003),
            (0.001, -0.001),
            (-0, -0.003),
            (0.002, -0.005),
            (-0.002, -0.005),
            (0.002, -0.006),
        ),
        (
            (-0.003, 0.004),
            (0, 0.008),
            (0.003, 0.012),
            (0.006, 0.015),
            (0.009, 0.014),
            (0.01, 0.008),
            (0.009, 0.004),
            (0.008, 0),
            (0.014, -0.002),
            (0.018, -0.004),
            (0.018, -0.009),
            (0.014, -0.005),
            (0.012, -0.001),
            (0.01, -0.005),
            (0.007, -0.01),
            (-0.002, 0.008),
            (-0.004, 0.008),
            (-0.005, 0.008),
            (-0.003, 0.008),
            (-0.004, 0.008),
            (-0.004, 0.005),
            (-0.003, 0.001),
            (-0.002, -0.001),
            (-0.001, -0.002),
            (-0, -0.002),
            (-0.009, 0),
            (-0.012, -0.004),
            (-0.006, -0.002),
            (0.001, -0.011),
            (0.002, -0.009),
            (-0.002, 0.001),
            (0.002, 0.003),
            (0.002, 0.003),
            (0.002, 0.001),
            (0.004, 0.004),
            (0.003, 0.003),
            (0.003, 0.001),
            (0.004, -0.002),
        ),
        (
            (0.003, 0.007),
            (0.006, 0.006),
            (0.01, 0.006),
            (0.01, 0),
            (0.01, -0.005),
            (0.006, -0.01),
            (0.002, -0.011),
            (0, -0.011),
            (0, -0.011),
            (-0.002, -0.008),
            (-0.004, -0.006),
            (-0.005, -0.001),
            (-0.004, 0.002),
            (-0.002, 0.001),
            (-0, 0.001),
            (-0, -0.004),
            (0, -0.005),
            (0, -0.006),
            (-0.001, -0.006),
            (-0.001, -0.007),
            (-0.001, -0.007),
            (-0, -0.007),
            (0.001, -0.007),
            (-0, -0.006),
            (-0.001, -0.008),
            (0.002, -0.002),
            (0.003, -0.004),
            (-0.002, -0.01),
            (-0.004, -0.005),
            (-0.004, -0.004),
            (0, -0.007),
            (0.003, -0.006),
            (0, -0.007),
            (-0.003, -0.007),
            (0.003, -0.008),
            (0, -0.007),
            (-0.001, -0.007),
            (0, -0.009),
        ),
    )
)


def place_mean_face(landmarks: NDArray[np.float64], mode_weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lays the bent mean face over a real one.

    Args:
        landmarks: 5 x 2, pixels, in the order of ``FIVE_POINTS``.
        mode_weights: One weight for each of ``MODES``, in standard deviations; zeros give the mean.

    Returns:
        P x 2, pixels: the points of ``MEAN_POINTS`` under the least-squares similarity transform (Umeyama, PAMI 1991)
        that brings ``FIVE_POINTS`` onto the landmarks.
    """
    # Rotation and scale as one complex factor: least squares over similarities has this closed form in the plane.
    canonical = _as_complex(FIVE_POINTS)
    observed = _as_complex(landmarks)
    centred = canonical - canonical.mean()
    factor = (observed * centred.conj()).sum() / (np.abs(centred) ** 2).sum()
    bent = MEAN_POINTS + np.tensordot(mode_weights, MODES, axes=1)
    placed = (_as_complex(bent) - canonical.mean()) * factor + observed.mean()
    return np.stack((placed.real, placed.imag), axis=-1)


def _as_complex(points: NDArray[np.float64]) -> NDArray[np.complex128]:
    return np.asarray(points[..., 0] + 1j * points[..., 1], dtype=np.complex128)

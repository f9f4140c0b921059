"""Real embeddings by the million, made from a few real scenes.

An index is judged on what it will hold: ResNet-50 vectors of overlapping chips, whose neighbours
are close and whose dimensions are far from independent.  Gaussian noise is neither.  So windows
of real scenes are cut at random places, turned by any angle, mirrored, rescaled (0.5 to 1.6) and
changed in brightness, contrast and colour; each goes once through the network, and chips of three
sizes are box means of its feature map every 16 pixels.  Feature maps are cached in a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

WINDOW = 1024
#: Cells at a window's edge that see the zeros outside it and are not used.
EDGE = 2
#: Pixels between the chips of a window, and their edges: a place seen nearer or farther.
STEP = 16
CHIP_SIZES = (192, 256, 320)
PER_WINDOW = 5_000


@dataclass(frozen=True)
class Source:
    """Where vectors come from.

    Attributes:
        cache: Folder of the feature maps.
        scenes: GeoTIFFs to cut windows from.
    """

    cache: Path
    scenes: tuple[Path, ...]

    @classmethod
    def found(cls, cache: Path, extra: Path | None = None) -> Source:
        """The sample scenes that come with localtileserver, and every GeoTIFF below `extra`."""
        import localtileserver

        data = Path(localtileserver.__file__).parent / "tiler" / "data"
        samples = [data / name for name in ("landsat7.tif", "landsat.tif")]
        return cls(cache, (*samples, *(sorted(extra.rglob("*.tif")) if extra else ())))

    def vectors(self, n: int, *, first: int = 0) -> Iterator[np.ndarray]:
        """n vectors of length one, float16, window by window.

        Args:
            n: Vectors wanted; the more, the more windows, and the more chips of each.
            first: Number of the first window: other numbers are other places, so that queries can
                be taken where the index has nothing.
        """
        windows = max(-(-n // PER_WINDOW), min(6, -(-n // 25)))
        for number in range(windows):
            wanted = (number + 1) * n // windows - number * n // windows
            chips = chips_of(self.feature_map(first + number))
            chosen = np.random.default_rng(number).choice(len(chips), wanted, replace=False)
            yield chips[np.sort(chosen)]

    def feature_map(self, number: int) -> np.ndarray:
        """Float16 (h, w, 2048): the network's last map over window `number`."""
        path = self.cache / f"map-{len(self.scenes)}-{number:05d}.npy"
        if not path.exists():
            cells = _network()(self.window(number)[None])[0]
            self.cache.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(".tmp.npy")
            np.save(temporary, cells[EDGE:-EDGE, EDGE:-EDGE].astype(np.float16))
            temporary.replace(path)
        return np.load(path)

    def window(self, number: int) -> np.ndarray:
        """Uint8 RGB (1024, 1024, 3): one changed piece of one scene, the same each time."""
        rng = np.random.default_rng([7, number])
        picture = _picture(self.scenes[number % len(self.scenes)])
        piece = _piece(picture, rng)
        while _without_data(piece) > 0.02:
            piece = _piece(picture, rng)
        gain, lift = rng.uniform(0.75, 1.25, 3) * rng.uniform(0.8, 1.2), rng.uniform(-20, 20)
        return np.clip(piece * gain + lift, 0, 255).astype(np.uint8)


def _piece(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Float32 (1024, 1024, 3): a random place of a picture, turned, mirrored and rescaled.

    What lies outside the picture is its mirror image, as if it were folded there.
    """
    from PIL import Image

    scale, angle = rng.uniform(0.5, 1.6), rng.uniform(0, 2 * np.pi)
    across = np.array([np.cos(angle), -np.sin(angle)]) / scale * rng.choice([-1.0, 1.0])
    down = np.array([np.sin(angle), np.cos(angle)]) / scale
    pad = int(np.ceil(WINDOW / 2 * (np.abs(across) + np.abs(down)).max())) + 2
    start = rng.uniform(0, 1, 2) * picture.shape[1::-1] - WINDOW / 2 * (across + down) + pad
    mirrored = np.pad(picture, [(pad, pad), (pad, pad), (0, 0)], mode="symmetric")
    piece = Image.fromarray(mirrored).transform(
        (WINDOW, WINDOW),
        Image.Transform.AFFINE,
        (across[0], down[0], start[0], across[1], down[1], start[1]),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(piece, np.float32)


def _without_data(piece: np.ndarray) -> float:
    """Share of a piece's pixels that are black in every band."""
    return float((piece == 0).all(axis=-1).mean())


def chips_of(cells: np.ndarray) -> np.ndarray:
    """Float16 (n, 2048) of length one: chips of three sizes of a feature map, 16 pixels apart."""
    from pipeline.model.dense import box_means

    h, w = cells.shape[:2]
    wide = cells.astype(np.float32)
    found = []
    for size in CHIP_SIZES:
        rows, cols = np.meshgrid(
            np.arange(0, h * 32 - size + 1, STEP),
            np.arange(0, w * 32 - size + 1, STEP),
            indexing="ij",
        )
        found.append(box_means(wide, cols.ravel(), rows.ravel(), size))
    vectors = np.concatenate(found)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


@lru_cache(maxsize=16)
def _picture(path: Path) -> np.ndarray:
    """Uint8 RGB (h, w, 3) of a scene, stretched between its 1st and 99th percentile.

    The first three bands, or red, green and blue of a Landsat scene of seven.  Pixels without data
    stay black, and no other pixel is.
    """
    import rasterio

    with rasterio.open(path) as scene:
        bands = (3, 2, 1) if scene.count == 7 else (1, 2, 3)
        values = np.moveaxis(scene.read(bands), 0, -1).astype(np.float32)
    seen = (values != 0).any(axis=-1)
    low, high = np.percentile(values[seen], (1, 99), axis=0)
    stretched = np.clip((values - low) / (high - low) * 254 + 1, 1, 255)
    return np.where(seen[..., None], stretched, 0).astype(np.uint8)


def _network() -> Callable[[np.ndarray], np.ndarray]:
    from pipeline.model.loader import resnet50

    # The attribute is not part of the `Embedder` protocol, but of ours.
    return resnet50("dense").network.maps

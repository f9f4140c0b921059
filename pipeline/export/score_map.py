"""Score maps as GeoTIFF: the score of the window at every position, over its scene.

A pixel is one position of the window and lies at the window's centre.  A file is a Cloud-Optimised
GeoTIFF with one float32 band in the CRS of the scene, NaN where there is no data.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.export.world_file import window_transform
from pipeline.files import check_writable, replacing
from pipeline.imagery import geotiff
from pipeline.imagery.cog import copy_as_cog
from pipeline.imagery.formats import open_raster
from pipeline.model.resnet import CELL_PIXELS

if TYPE_CHECKING:
    from pipeline.export.findings import Provenance
    from pipeline.imagery.scene import Scene

#: What the name of a score map may end in.
SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """The scores of one scene.

    Attributes:
        scene: The scene.
        scores: float32 (h, w); row and column are those of the window's first cell; NaN where there
            is no data.
        scale: Pixels given to the network per pixel of the scene.
        window: Side of the window in cells.
    """

    scene: Scene
    scores: np.ndarray
    scale: float
    window: int = 4

    @property
    def transform(self) -> tuple[float, ...]:
        """The six affine coefficients of the map.

        The window at row r and column c has its centre (c + window / 2) cells from the left edge of
        the scene, and the centre of a pixel lies half a pixel from its corner.
        """
        cell = CELL_PIXELS / self.scale
        corner = (self.window - 1) / 2 * cell
        return window_transform(self.scene.transform, corner, corner, cell)


def check_target(path: Path) -> None:
    """Refuse, before a search, a file that its score maps cannot be written to.

    Raises:
        QueryError: If its suffix is not that of a GeoTIFF.
        StorageError: If it is a folder, or its folder cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise QueryError(
            "A score map is a GeoTIFF",
            where=path.name,
            remedy=f"Give a file name that ends in {' or '.join(SUFFIXES)}",
        )
    check_writable(path)


def write_score_map(
    path: Path, score_map: ScoreMap, provenance: Provenance, threshold: float | None = None
) -> None:
    """Write a score map as GeoTIFF, completely or not at all.

    Args:
        path: The file; replaced if it exists.
        score_map: The scores of a scene.
        provenance: The search; its model is the identity of the cells or the detector.
        threshold: Minimum score of the search, if it has one.

    Raises:
        StorageError: If the disk is full or the folder cannot be written.
    """
    with replacing(path) as temporary:
        _write(temporary, score_map, _tags(score_map, provenance, threshold))


def write_score_maps(
    path: Path,
    score_maps: Iterable[ScoreMap],
    provenance: Provenance,
    threshold: float | None = None,
) -> list[Path]:
    """Write the score maps of a search: of one scene as `path`, of several one file a scene.

    Scenes may overlap and differ in date and CRS, so that they are not merged: those of `map.tif`
    are `map-SCENE.tif` beside it.

    Args:
        path: The file.
        score_maps: Of each scene; taken one after another.
        provenance: The search.
        threshold: Minimum score of the search, if it has one.

    Returns:
        The files.

    Raises:
        QueryError: If there is no scene.
        StorageError: If the disk is full or the folder cannot be written.
    """
    remaining = iter(score_maps)
    first = next(remaining, None)
    second = next(remaining, None)
    if first is None:
        raise QueryError("There is no score map to write", remedy="Search scenes with object cells")
    if second is None:
        write_score_map(path, first, provenance, threshold)
        return [path]
    files = []
    for score_map in itertools.chain([first, second], remaining):
        file = path.with_name(f"{path.stem}-{score_map.scene.id}{path.suffix}")
        write_score_map(file, score_map, provenance, threshold)
        files.append(file)
    return files


def download_score_maps(
    folder: Path,
    stem: str,
    score_maps: Iterable[ScoreMap],
    provenance: Provenance,
    threshold: float | None = None,
) -> Path:
    """The score maps of a search as one file: `STEM-scores.tif`, or `STEM-scores.zip` of several.

    Args:
        folder: Where the file is written.
        stem: Beginning of its name.
        score_maps: Of each scene; taken one after another.
        provenance: The search.
        threshold: Minimum score of the search, if it has one.

    Raises:
        QueryError: If there is no scene.
        StorageError: If the disk is full or the folder cannot be written.
    """
    path = folder / f"{stem}-scores.tif"
    with tempfile.TemporaryDirectory(dir=folder) as made:
        files = write_score_maps(Path(made) / path.name, score_maps, provenance, threshold)
        if len(files) == 1:
            files[0].replace(path)
            return path
        path = path.with_suffix(".zip")
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for file in files:
                archive.write(file, file.name)
    return path


def _write(path: Path, score_map: ScoreMap, tags: dict[str, str]) -> None:
    scores = np.asarray(score_map.scores, np.float32)
    height, width = scores.shape
    plain = path.with_name(f"{path.name}.plain")
    try:
        with geotiff.create(
            plain,
            width=width,
            height=height,
            count=1,
            dtype="float32",
            nodata=np.nan,
            crs=score_map.scene.crs,
            transform=score_map.transform,
        ) as dataset:
            dataset.write(scores, 1)
            dataset.set_band_description(1, "score")
            dataset.update_tags(**tags)
        geotiff.check_written(plain)
        with geotiff.disk_errors(path, ours=True), open_raster(plain) as dataset:
            copy_as_cog(dataset, path)
        geotiff.check_written(path)
    finally:
        for leftover in (plain, *path.parent.glob(f"{path.name}.*.tmp")):
            leftover.unlink(missing_ok=True)


def _tags(score_map: ScoreMap, about: Provenance, threshold: float | None) -> dict[str, str]:
    scene = score_map.scene
    tags = {
        "TIFFTAG_IMAGEDESCRIPTION": f"Similarity to {about.query}",
        "TIFFTAG_SOFTWARE": about.software,
        "TIFFTAG_COPYRIGHT": scene.license,
        "COLLECTION": about.collection,
        "SCENE": scene.id,
        "SCENE_TITLE": scene.title,
        "ACQUIRED": scene.datetime or "",
        "SOURCE_URL": scene.source_url,
        "LICENSE": scene.license,
        "QUERY": about.query,
        "PARAMETERS": about.common["parameters"],
        "CELLS": json.dumps(about.model.to_dict(), sort_keys=True),
        "SCALE": f"{score_map.scale:g}",
        "WINDOW_PIXELS": f"{score_map.window * CELL_PIXELS / score_map.scale:g}",
        "THRESHOLD": "" if threshold is None else f"{threshold:g}",
        "CREATED": about.created,
    }
    return {name: text for name, text in tags.items() if text}

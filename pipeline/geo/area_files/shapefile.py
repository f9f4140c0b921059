"""Zipped Shapefiles."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from pipeline.errors import AreaError, storage_errors
from pipeline.geo.area_files.archive import inflate
from pipeline.geo.area_files.features import MAX_FEATURES, Feature, check_count, reproject

#: Files that are unpacked; a Shapefile may have a dozen more.
_SUFFIXES = (".shp", ".shx", ".dbf", ".prj", ".cpg")


def read_shapefile(archive: zipfile.ZipFile, members: list[str], filename: str) -> list[Feature]:
    """Features of a zip's only Shapefile.

    Args:
        archive: The zip.
        members: Names of its files, from `safe_members`.
        filename: Name of the zip, for messages.

    Raises:
        AreaError: If there are several, or it lacks a required file or cannot be read.
    """
    import pyogrio

    # macOS adds a "._area.shp" with its own metadata for every "area.shp".
    shapes = [
        name
        for name in members
        if PurePosixPath(name).suffix.lower() == ".shp"
        and not PurePosixPath(name).name.startswith("._")
    ]
    if len(shapes) != 1:
        names = ", ".join(PurePosixPath(name).name for name in shapes[:5])
        raise AreaError(
            f"This zip has {len(shapes)} Shapefiles ({names})",
            where=filename,
            remedy="Zip only one",
        )
    stem = shapes[0][: -len(".shp")]
    siblings = {
        PurePosixPath(name).suffix.lower(): name
        for name in members
        if name[: -len(PurePosixPath(name).suffix)] == stem
    }
    if ".prj" not in siblings:
        raise AreaError(
            "This Shapefile has no .prj file, so its coordinate system is unknown",
            where=filename,
            remedy="Add the .prj file to the zip, or save the outline as GeoJSON or GeoPackage",
        )
    if ".shx" not in siblings:
        raise AreaError(
            "This Shapefile has no .shx file", where=filename, remedy="Add it to the zip"
        )
    with tempfile.TemporaryDirectory(prefix="lookalike-area-") as folder:
        for suffix in _SUFFIXES:
            if suffix in siblings:
                content = inflate(archive, siblings[suffix], filename)
                with storage_errors(folder):
                    (Path(folder) / f"area{suffix}").write_bytes(content)
        try:
            frame = pyogrio.read_dataframe(
                Path(folder) / "area.shp", columns=[], max_features=MAX_FEATURES + 1
            )
        except (pyogrio.errors.DataSourceError, pyogrio.errors.FeatureError, ValueError) as error:
            raise AreaError(
                "This Shapefile cannot be read", where=filename, remedy="Save it again"
            ) from error
        if frame.crs is None:
            raise AreaError(
                "The .prj file of this Shapefile names no coordinate system",
                where=filename,
                remedy="Save the outline as GeoJSON or GeoPackage",
            )
        features = [Feature(shape) for shape in frame.geometry if shape is not None]
        check_count(features, filename)
        return reproject(features, frame.crs.to_wkt(), filename)

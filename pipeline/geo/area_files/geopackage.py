"""GeoPackages, read with SQLite.

A GeoPackage can contain views and triggers of its author, so its schema is not trusted and the time
of its queries is limited.
"""

from __future__ import annotations

import sqlite3
import struct
import tempfile
import time
from pathlib import Path

from pipeline.errors import AreaError, storage_errors
from pipeline.geo.area_files.features import MAX_FEATURES, Feature, check_count, reproject

#: Seconds that all queries of one file may take.
_SQL_TIMEOUT = 5.0


def read_geopackage(data: bytes, filename: str) -> list[Feature]:
    """Features of every vector layer.

    Raises:
        AreaError: If it cannot be read in time, or has no features or too many.
    """
    import shapely

    features: list[Feature] = []
    deadline = time.monotonic() + _SQL_TIMEOUT
    with tempfile.TemporaryDirectory(prefix="lookalike-area-") as folder:
        path = Path(folder) / "area.gpkg"
        with storage_errors(folder):
            path.write_bytes(data)
        database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        try:
            database.execute("PRAGMA trusted_schema = OFF")
            database.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
            layers = database.execute(
                "SELECT g.table_name, g.column_name, s.definition, s.organization, "
                "s.organization_coordsys_id FROM gpkg_geometry_columns g "
                "JOIN gpkg_spatial_ref_sys s ON s.srs_id = g.srs_id"
            ).fetchall()
            for table, column, definition, organization, code in layers[:100]:
                table, column = (str(name).replace('"', '""') for name in (table, column))
                rows = database.execute(
                    f'SELECT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL '
                    f"LIMIT {MAX_FEATURES + 1}"
                ).fetchall()
                shapes = [Feature(shapely.from_wkb(_wkb(blob))) for (blob,) in rows]
                known = str(organization).upper() == "EPSG"
                crs = f"{organization}:{code}" if known else str(definition)
                if shapes:
                    check_count(shapes, filename)
                    features += reproject(shapes, crs, filename)
        except (sqlite3.Error, shapely.errors.GEOSException, struct.error, ValueError) as error:
            raise AreaError(
                "This GeoPackage cannot be read",
                where=filename,
                remedy="Save the outline again, as GeoPackage or GeoJSON",
            ) from error
        finally:
            database.close()
    check_count(features, filename)
    return features


def _wkb(blob: object) -> bytes:
    """The WKB that follows a geometry's header: magic, version, flags, SRS id, envelope."""
    if not isinstance(blob, bytes) or blob[:2] != b"GP" or len(blob) < 9:
        raise ValueError("not a GeoPackage geometry")
    doubles = (0, 4, 6, 6, 8)[min(blob[3] >> 1 & 0b111, 4)]
    return blob[8 + 8 * doubles :]

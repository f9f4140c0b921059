"""Findings as a GeoPackage that QGIS opens styled and labelled."""

from __future__ import annotations

import errno
import json
import sqlite3
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from pipeline.export.findings import Columns, Findings
from pipeline.export.frame import frame_of
from pipeline.export.style import RAMP
from pipeline.progress import OnProgress, silent

_STYLES = """
CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT,
  styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))
"""
_METADATA = """
CREATE TABLE IF NOT EXISTS gpkg_metadata (
  id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL, md_scope TEXT NOT NULL DEFAULT 'dataset',
  md_standard_uri TEXT NOT NULL, mime_type TEXT NOT NULL DEFAULT 'text/xml',
  metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS gpkg_metadata_reference (
  reference_scope TEXT NOT NULL, table_name TEXT, column_name TEXT, row_id_value INTEGER,
  timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  md_file_id INTEGER NOT NULL, md_parent_id INTEGER,
  CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id));
CREATE TABLE IF NOT EXISTS gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
  scope TEXT NOT NULL, CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
"""
_METADATA_SPEC = "http://www.geopackage.org/spec131/#extension_metadata"


def write(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write a layer of polygons; QGIS style in `layer_styles`, provenance in `gpkg_metadata`.

    Raises:
        OSError: If the disk is full or the folder cannot be written.
    """
    from pyogrio.errors import DataLayerError, DataSourceError

    path.touch()  # names a folder that cannot be written, which GDAL would not
    path.unlink()
    try:
        _write(findings, path)
    except (DataLayerError, DataSourceError, sqlite3.Error) as error:
        # Everything is written by us to a new file, so what fails is the disk.
        raise OSError(errno.ENOSPC, "No space left on device") from error


def _write(findings: Findings, path: Path) -> None:
    layer, frame = findings.noun, frame_of(findings)
    frame.to_file(path, layer=layer, driver="GPKG", engine="pyogrio")
    scores = [item.score for item in findings.items]
    points = (frame.geom_type == "Point").all()
    with sqlite3.connect(path) as database:
        database.executescript(_METADATA)
        database.execute(_STYLES)
        database.execute(
            "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
            "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, owner) "
            "VALUES ('', '', ?, 'geom', 'By score', ?, '', 1, 'Lookalikes by score', '')",
            (layer, style(scores, findings.columns, points)),
        )
        database.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, last_change) "
            "VALUES ('layer_styles', 'attributes', 'layer_styles', "
            "strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))"
        )
        provenance = json.dumps(findings.provenance.to_dict(), ensure_ascii=False)
        metadata = database.execute(
            "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, mime_type, metadata) "
            "VALUES ('dataset', 'https://www.w3.org/TR/prov-overview/', 'application/json', ?)",
            (provenance,),
        )
        database.execute(
            "INSERT INTO gpkg_metadata_reference (reference_scope, table_name, md_file_id) "
            "VALUES ('table', ?, ?)",
            (layer, metadata.lastrowid),
        )
        database.executemany(
            "INSERT OR IGNORE INTO gpkg_extensions "
            "VALUES (?, NULL, 'gpkg_metadata', ?, 'read-write')",
            [(name, _METADATA_SPEC) for name in ("gpkg_metadata", "gpkg_metadata_reference")],
        )
    database.close()


def style(scores: list[float], columns: Columns, points: bool = False) -> str:
    """A QGIS layer style (QML): five classes by score, ranks as labels, facts as map tips.

    Args:
        scores: All scores.
        columns: The columns of the layer.
        points: Whether its geometries are points instead of polygons.
    """
    edges = np.linspace(max(scores), min(scores), len(RAMP) + 1)
    ranges, symbols = [], []
    for number, colour in enumerate(RAMP):
        upper, lower = float(edges[number]), float(edges[number + 1])
        label = quoteattr(f"{lower:.2f} – {upper:.2f}")
        # Rounding to six decimals must not drop the best or the worst score from its class.
        ranges.append(
            f'<range symbol="{number}" render="true" label={label} '
            f'lower="{lower - 1e-6:.6f}" upper="{upper + 1e-6:.6f}"/>'
        )
        symbols.append(_symbol(number, colour, points))
    aliases = "".join(
        f"<alias field={quoteattr(name)} index={quoteattr(str(number))} name={quoteattr(about)}/>"
        for number, (name, (_, about)) in enumerate(columns.items())
    )
    tip = escape(
        "<b>#[% rank %]</b> · [% round(score, 2) %]<br>[% date %] · [% scene_title %]<br>"
        "[% round(latitude, 5) %], [% round(longitude, 5) %]<br>Query: [% query %]"
    )
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.28" styleCategories="AllStyleCategories" labelsEnabled="1">'
        '<renderer-v2 type="graduatedSymbol" attr="score" graduatedMethod="GraduatedColor" '
        'symbollevels="0" enableorderby="0">'
        f"<ranges>{''.join(ranges)}</ranges><symbols>{''.join(symbols)}</symbols></renderer-v2>"
        '<labeling type="simple"><settings calloutType="simple">'
        '<text-style fieldName="rank" fontSize="9" fontSizeUnit="Point" textColor="30,41,59,255">'
        '<text-buffer bufferDraw="1" bufferSize="1" bufferSizeUnits="MM" '
        'bufferColor="255,255,255,220"/></text-style>'
        '<placement placement="1"/></settings></labeling>'
        f"<aliases>{aliases}</aliases><mapTip>{tip}</mapTip></qgis>"
    )


def _symbol(number: int, colour: str, points: bool) -> str:
    kind, layer = ("marker", "SimpleMarker") if points else ("fill", "SimpleFill")
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    options = "".join(
        f'<Option type="QString" name="{name}" value="{value}"/>'
        for name, value in {
            "color": f"{red},{green},{blue},70",
            "outline_color": f"{red},{green},{blue},255",
            "outline_width": "0.6",
            "outline_width_unit": "MM",
            "outline_style": "solid",
            "style": "solid",
        }.items()
    )
    return (
        f'<symbol type="{kind}" name="{number}" alpha="1" clip_to_extent="1">'
        f'<layer class="{layer}" enabled="1" pass="0" locked="0">'
        f'<Option type="Map">{options}</Option></layer></symbol>'
    )

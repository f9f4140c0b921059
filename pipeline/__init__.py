"""Lookalike's pipeline: area → scene → chips → embeddings → index → search.

Importing this package, or any module in it, loads neither TensorFlow, ScaNN, Earth Engine nor
Streamlit; the functions that need one of the first three import it when called.
"""

from __future__ import annotations

import logging
import os

# GDAL tells formats by content, not by suffix: what is uploaded as KML, JSON or zip could be one of
# these, which name other files and servers to read.  It leaves them out when it is first imported.
os.environ.setdefault(
    "OGR_SKIP",
    "OGR_VRT,GDALG,WFS,OAPIF,OGCAPI,CSW,EEDA,Carto,Elasticsearch,AmigoCloud,PLSCENES,NGW,HTTP,ADBC,"
    "GPSBabel",
)
# The GDAL within rasterio has few of them, and warns of each of the others whenever it starts.
logging.getLogger("rasterio._env").addFilter(
    lambda record: "to unload from GDAL_SKIP" not in record.getMessage()
)

__version__ = "0.1.0"

"""Lookalike's pipeline: area → scene → chips → embeddings → index → search.

Importing this package, or any module in it, loads neither TensorFlow, ScaNN, Earth Engine nor
Streamlit; the functions that need one of the first three import it when called.
"""

from __future__ import annotations

import os

# GDAL tells formats by content, not by suffix: what is uploaded as KML, JSON or zip could be one of
# these, which name other files and servers to read.  It leaves them out when it is first imported.
os.environ.setdefault(
    "OGR_SKIP",
    "OGR_VRT,GDALG,WFS,OAPIF,OGCAPI,CSW,EEDA,Carto,Elasticsearch,AmigoCloud,PLSCENES,NGW,HTTP,ADBC,"
    "GPSBabel",
)

__version__ = "0.1.0"

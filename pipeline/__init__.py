"""Lookalike's pipeline: area → scene → chips → embeddings → index → search.

Importing this package, or any module in it, loads neither TensorFlow, ScaNN, Earth Engine nor
Streamlit; the functions that need one of the first three import it when called.
"""

from __future__ import annotations

__version__ = "0.1.0"

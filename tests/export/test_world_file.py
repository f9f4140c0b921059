from __future__ import annotations

import numpy as np
import pytest

from pipeline.export.world_file import crs_files, window_transform, world_file

TURNED = (8.0, 2.0, 500_000.0, 2.0, -8.0, 4_000_000.0)


def test_a_gis_puts_a_window_of_a_turned_scene_in_its_place(tmp_path):
    import rasterio
    from PIL import Image

    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "chip.png")
    (tmp_path / "chip.pgw").write_text(world_file(window_transform(TURNED, 10, 20)))
    prj, aux = crs_files("EPSG:32632")
    (tmp_path / "chip.prj").write_text(prj)
    (tmp_path / "chip.png.aux.xml").write_text(aux)
    whole = rasterio.Affine(*TURNED)
    with rasterio.open(tmp_path / "chip.png") as chip:
        assert chip.crs.to_epsg() == 32632
        assert chip.transform * (0, 0) == pytest.approx(whole * (10, 20))
        assert chip.transform * (4, 4) == pytest.approx(whole * (14, 24))

"""Findings as a self-contained HTML map: library, imagery and pictures are embedded.

leafmap's pages load Leaflet, jQuery, Bootstrap and icons from the network.  The map needs only
Leaflet, which is embedded instead, so that the file works on a laptop in the field.
"""

from __future__ import annotations

import base64
import json
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import UnavailableError
from pipeline.export.findings import Findings
from pipeline.export.style import RAMP, colour_class, pop_up
from pipeline.frontend import VENDOR
from pipeline.imagery.render import encode_image, overview
from pipeline.progress import OnProgress, silent

if TYPE_CHECKING:
    from pipeline.imagery.scene import Scene

#: Longest side of a scene's imagery in pixels; at this size it takes about one megabyte.
IMAGERY = 2048
THUMBNAIL = 160
_MARK = "lookalike-leaflet"


def write(findings: Findings, path: Path, progress: OnProgress = silent) -> None:
    """Write a page that shows the findings over their imagery; it works offline.

    Raises:
        UnavailableError: If Leaflet is not installed.
    """
    import folium
    import leafmap.foliumap as leafmap

    script, css = _leaflet()
    page = leafmap.Map(tiles=None, fullscreen_control=False, max_zoom=22, zoom_control=True)
    page.default_js = [(_MARK, f"{_MARK}.js")]
    page.default_css = []
    for scene in findings.scenes:
        url, bounds = _imagery(scene)
        overlay = folium.raster_layers.ImageOverlay(url, bounds, name=escape(scene.title))
        overlay.add_to(page)
    features = _features(findings, progress)
    points = all(item.geometry.geom_type == "Point" for item in findings.items)
    layer = folium.GeoJson(
        features,
        marker=folium.CircleMarker(radius=7) if points else None,
        name=findings.noun.capitalize(),
        style_function=lambda feature: feature["properties"]["style"],
        highlight_function=lambda _: {"weight": 4},
        popup=folium.GeoJsonPopup(["about"], labels=False, localize=False, max_width=320),
        tooltip=folium.GeoJsonTooltip(["title"], labels=False, sticky=True),
    )
    layer.add_to(page)
    folium.LayerControl(collapsed=False).add_to(page)
    page.fit_bounds(layer.get_bounds(), padding=(30, 30))
    path.write_text(_complete(page.get_root().render(), findings, script, css), "utf-8")


def _features(findings: Findings, progress: OnProgress) -> dict[str, Any]:
    from shapely.geometry import mapping

    features = []
    for item, picture in findings.pictures(progress, THUMBNAIL):
        colour = RAMP[colour_class(findings, item)]
        url = _data_url(encode_image(picture, "JPEG"), "image/jpeg")
        properties = {
            "title": f"#{item.rank} · {item.score:.2f}",
            "about": f"<b>#{item.rank}</b><br>{pop_up(item, url, THUMBNAIL)}",
            "style": {"color": colour, "weight": 2, "fillColor": colour, "fillOpacity": 0.15},
        }
        feature = {"type": "Feature", "id": str(item.rank), "geometry": mapping(item.geometry)}
        features.append({**feature, "properties": properties})
    # The last feature is drawn on top, where it takes the click: the best one.
    return {"type": "FeatureCollection", "features": features[::-1]}


def _imagery(scene: Scene) -> tuple[str, list[list[float]]]:
    """A scene in Web Mercator as a data URL, and its corners [[south, west], [north, east]]."""
    from pyproj import Transformer

    picture, bounds = overview(scene, IMAGERY)
    back = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True)
    west, south, east, north = back.transform_bounds(*bounds)
    return _data_url(picture, "image/webp"), [[south, west], [north, east]]


def _leaflet() -> tuple[str, str]:
    """Leaflet's script, and its style sheet with embedded pictures."""
    folder = VENDOR / "leaflet"
    try:
        script = (folder / "leaflet.js").read_text("utf-8")
        css = (folder / "leaflet.css").read_text("utf-8")
    except FileNotFoundError as error:
        raise UnavailableError(
            "The map library is not installed", where=folder, remedy="Run `make setup`"
        ) from error

    def embed(match: re.Match[str]) -> str:
        picture = folder / match[1]
        return f"url({_data_url(picture.read_bytes(), 'image/png')})" if picture.is_file() else ""

    css = re.sub(r"url\(\"?(images/[^)\"]+)\"?\)", embed, css)
    return re.sub(r"//# sourceMappingURL=.*", "", script), css


def _complete(page: str, findings: Findings, script: str, css: str) -> str:
    """The rendered page with the library, a title and the provenance inserted."""
    about = findings.provenance
    title = f"{len(findings.items)} {findings.noun} of {about.query} in {about.title}"
    credits_of = {str(scene["license"]) for scene in about.scenes if scene["license"]}
    caption = " · ".join([title, *sorted(credits_of), about.software, about.created[:10]])
    record = json.dumps(about.to_dict(), ensure_ascii=False).replace("<", "\\u003c")
    head = (
        f"<title>{escape(title)}</title><style>{css}\n"
        "html,body{font:13px system-ui,sans-serif;background:#0f172a}"
        ".leaflet-container{background:#0f172a}"
        "th{text-align:left;padding-right:8px;font-weight:600}"
        ".leaflet-bottom{bottom:30px}"
        "#caption{position:fixed;left:0;right:0;bottom:0;z-index:1000;padding:6px 12px;"
        "background:#0f172ae6;color:#e2e8f0}</style>"
        f"<script>{script}</script>"
        f'<script type="application/json" id="provenance">{record}</script>'
    )
    page = page.replace(f'<script src="{_MARK}.js"></script>', head, 1)
    return page.replace("</body>", f'<div id="caption">{escape(caption)}</div></body>', 1)


def _data_url(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"

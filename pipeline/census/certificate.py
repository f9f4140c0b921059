"""The certificate of a census: all that its numbers rest on, as JSON, as a page, and its points.

The JSON holds the population, the scores and designs of all rounds, and every line of the journal:
`python -m pipeline census report FILE` computes the same numbers from it alone, on any machine.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from pipeline import dates
from pipeline.census.census import Census
from pipeline.census.censuses import Kept, of_content
from pipeline.census.design import LEVELS, SHARPNESS, SPREAD
from pipeline.census.judgements import ANSWERED, Answer, state_of
from pipeline.census.report import Report, change_since, report_of
from pipeline.errors import DamagedError, QueryError
from pipeline.files import check_schema, replacing
from pipeline.geo.footprint import Georeference

KIND, SCHEMA = "lookalike-census", 1
METHODS = (
    "A unit is a square of ground; a thing belongs to the unit that holds its centre. Units are "
    "drawn by priority sampling (Duffield, Lund and Thorup 2007): weight over random number, the "
    "highest first. The total is what a recalibrated detector expects in all units plus the "
    "Horvitz-Thompson estimate of what it is wrong by, cross-fitted in five folds. The interval is "
    "the mid-P gamma interval (Fay and Kim 2017) of what was not seen. It takes the reviewers to "
    "be right but for the disagreement that double review shows."
)


def certificate(kept: Kept) -> dict[str, Any]:
    """The certificate, JSON."""
    lines = kept.judgements.lines()
    changed = change_since(kept)
    found = report_of(kept.census, state_of(lines, kept.folder), changed)
    census = kept.census
    content = {
        "census": census.to_dict(),
        "rounds": [each.to_dict() for each in census.rounds],
        "journal": lines,
    }
    plain = json.loads(json.dumps(content))
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "issued": dates.now(),
        "command": f"python -m pipeline census report census-{census.id}.json --json",
        "methods": METHODS,
        "constants": {"levels": LEVELS.tolist(), "sharpness": SHARPNESS, "spread": SPREAD},
        "report": found.to_dict(geometry=False),
        "sha256": _checksum(plain),
        **plain,
    }


def report_of_file(path: Path) -> Report:
    """What a certificate's content says, computed anew.

    Raises:
        DamagedError: If the file is no certificate, or was altered.
        NewerError: If a newer version wrote it.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["kind"] != KIND:
            raise ValueError("of another kind")
        check_schema(content["schema"], SCHEMA, what="A certificate", where=path.name)
        plain = {key: content[key] for key in ("census", "rounds", "journal")}
        checksum = content["sha256"]
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError(
            "This is no certificate of a census", where=path, remedy="Give the .json of an export"
        ) from error
    if _checksum(plain) != checksum:
        raise DamagedError(
            "The certificate was altered after it was issued",
            where=path,
            remedy="Export it again from the census",
        )
    census = of_content(plain["census"], plain["rounds"], path)
    return report_of(census, state_of(plain["journal"], path))


def points(census: Census, answers: Mapping[str, list[Answer]]) -> dict[str, Any]:
    """The things that were judged as GeoJSON: each clicked one, and counts without clicks.

    Of two reviewers the first counts.
    """
    places = {scene.id: Georeference(scene.crs, scene.transform) for scene in census.scenes}
    taken = {scene.id: scene.datetime for scene in census.scenes}
    features = []
    for unit_id, given in answers.items():
        unit, first = census.units[census.rows[unit_id]], given[0]
        about = {
            "unit": unit_id,
            "scene": unit.scene_id,
            "date": taken[unit.scene_id],
            "reviewer": first.reviewer,
            "time": first.time,
            "round": first.round,
        }
        if first.points is not None:
            for lon, lat in first.points:
                features.append(_point(lon, lat, {**about, "kind": "thing", "count": 1}))
        elif first.count:
            middle = (unit.left + unit.width / 2, unit.top + unit.height / 2)
            x, y = map(float, places[unit.scene_id].lonlat(*middle))
            counted = {**about, "kind": "unit", "count": first.count}
            features.append(_point(round(x, 7), round(y, 7), counted))
    return {"type": "FeatureCollection", "name": census.title, "features": features}


def _point(lon: float, lat: float, properties: dict[str, Any]) -> dict[str, Any]:
    shape = {"type": "Point", "coordinates": [lon, lat]}
    return {"type": "Feature", "properties": properties, "geometry": shape}


def points_of(kept: Kept) -> dict[str, Any]:
    """The points of a census."""
    return points(kept.census, kept.judgements.state().answers)


def export(kept: Kept, path: Path) -> Path:
    """Write a certificate or its points; the suffix chooses: .html, .json, .geojson or .zip.

    Raises:
        QueryError: If the suffix is another.
        StorageError: If the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise QueryError(
            "A census is exported as .html, .json, .geojson or .zip",
            where=path.name,
            remedy="Give the file one of these suffixes",
        )
    with replacing(path) as temporary:
        WRITERS[suffix](kept, temporary)
    return path


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False) + "\n"


def _write_zip(kept: Kept, path: Path) -> None:
    issued, stem = certificate(kept), f"census-{kept.census.id}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{stem}.html", page(issued))
        archive.writestr(f"{stem}.json", _text(issued))
        archive.writestr(f"{stem}.geojson", _text(points_of(kept)))


WRITERS: dict[str, Callable[[Kept, Path], object]] = {
    ".html": lambda kept, path: path.write_text(page(certificate(kept)), "utf-8"),
    ".json": lambda kept, path: path.write_text(_text(certificate(kept)), "utf-8"),
    ".geojson": lambda kept, path: path.write_text(_text(points_of(kept)), "utf-8"),
    ".zip": _write_zip,
}


def _checksum(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


_STYLE = """
:root{font:14px/1.5 system-ui,sans-serif;color:#0f172a;background:#fff}
body{max-width:52rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
.total{font-size:2.2rem;font-weight:650;margin:.4rem 0 0}
table{border-collapse:collapse;width:100%}
td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top;overflow-wrap:break-word}
th{font-weight:600;border-bottom:1px solid #cbd5e1}td.n,th.n{text-align:right}
tr{break-inside:avoid}code{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:.9em}
small,.muted{color:#475569}svg{width:100%;height:auto;max-height:26rem;border:1px solid #cbd5e1}
@page{margin:18mm}@media print{body{margin:0;max-width:none}}
"""


def page(issued: Mapping[str, Any]) -> str:
    """A certificate as one printable page that needs no other file.

    Args:
        issued: As `certificate` made it.
    """
    census, report = issued["census"], issued["report"]
    title = escape(census["title"])
    body = [
        f"<h1>Census: {title}</h1>",
        f'<p class="muted">{escape(census["collection_title"])} · '
        f"{escape(census['date'] or 'date unknown')} · {census['area_km2']:,.3f} km²</p>",
        f'<p class="total">{escape(report["text"])}</p>',
        f"<p>{_sentence(report)}</p>",
        _figure(issued),
        "<h2>What was counted, and how</h2>",
        _facts(issued),
        f"<p><small>{escape(issued['methods'])}</small></p>",
        *_notes(report),
        *_districts(report),
        "<h2>Rounds</h2>",
        _table(
            ["Round", "Looked for", "Began", "Seed", "Floor", "Judged", "Estimate", "95% interval"],
            [
                (each["number"], each["query"], made["created"], census["seed"],
                 f"{made['floor']:.0%}", each["judged"], _number(each["estimate"]),
                 _interval(each))
                for each, made in zip(report["rounds"], issued["rounds"], strict=True)
            ],
        ),
        "<h2>Imagery</h2>",
        _table(
            ["Scene", "Taken", "m/pixel", "Origin", "Licence"],
            [
                (each["id"], each["datetime"] or "unknown", f"{each['gsd']:.3g}",
                 each["source_url"], each["license"])
                for each in census["scenes"]
            ],
        ),
        f"<h2>Judgements</h2>{_judgements(issued)}",
        "<h2>Compute it again</h2>",
        f"<p>The file <code>census-{census['id']}.json</code> holds the population, the scores, "
        "the designs and every judgement. This command computes the numbers above from it:</p>"
        f"<p><code>{escape(issued['command'])}</code></p>"
        f"<p><small>SHA-256 of its content: <code>{issued['sha256']}</code> · "
        f"{escape(census['software'])} · issued {escape(issued['issued'])}</small></p>",
    ]  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Census: {title}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _sentence(report: Mapping[str, Any]) -> str:
    said = [f"{report['judged']:,} of {report['units']:,} units were judged."]
    if report["low"] is not None and not report["exact"]:
        said.insert(0, f"With 95% confidence, between {report['low']:,} and {report['high']:,}.")
    for name, what in (("recall", "of all are in the list"), ("precision", "of the list is right")):
        if report[name] is not None:
            said.append(
                f"{report[name]:.0%} ({report[f'{name}_low']:.0%} to {report[f'{name}_high']:.0%}) "
                f"{what}."
            )
    if agreed := report["agreement"]:
        kappa = "" if agreed["kappa"] is None else f", κ = {agreed['kappa']:.2f}"
        said.append(
            f"Two reviewers judged {agreed['double']} units and agreed on {agreed['same']:.0%}"
            f"{kappa}."
        )
    return escape(" ".join(said))


def _facts(issued: Mapping[str, Any]) -> str:
    census, report = issued["census"], issued["report"]
    area = "the outline in the JSON file" if census["area"] else "all imagery of the date"
    source = issued["rounds"][-1]["source"]
    card = source.get("card")
    detector = (
        f"detector {card['title']}, {card['good']} good and {card['bad']} bad marks"
        if card
        else issued["rounds"][-1]["query"]
    )
    threshold = report["threshold"]
    rows = [
        ("Census", f"{census['id']}, begun {census['created']}"),
        ("Area", f"{census['area_km2']:,.3f} km², {area}"),
        ("Units", f"{report['units']:,} squares of {census['side']} pixels, cut along the area and "
                  "where scenes overlap"),
        ("Detector", detector),
        ("List", f"{report['listed']:,} things"
                 + (f" with a score of at least {threshold:g}" if threshold is not None else "")),
        ("Seed", str(census["seed"])),
        ("Cannot tell", f"{report['cannot_tell']:,} of the judged units"),
        ("Second reviewer",
         f"{census['double']:.0%} of the units, blind" if census["double"] else "none"),
        ("Model", census["model"]),
    ]  # fmt: skip
    return _table(["", ""], rows)


def _notes(report: Mapping[str, Any]) -> list[str]:
    notes = [*([report["changed"]] if report["changed"] else []), *report["notes"]]
    if not notes:
        return []
    return ["<h2>Notes</h2><ul>", *(f"<li>{escape(note)}.</li>" for note in notes), "</ul>"]


def _districts(report: Mapping[str, Any]) -> list[str]:
    if not report["districts"]:
        return []
    rows = [
        (each["name"], _number(each["estimate"]), _interval(each), each["units"], each["judged"],
         "wide" if each["wide"] else "")
        for each in report["districts"]
    ]  # fmt: skip
    head = ["District", "Estimate", "95% interval", "Units", "Judged", ""]
    return ["<h2>Districts</h2>", _table(head, rows)]


def _judgements(issued: Mapping[str, Any]) -> str:
    census = issued["census"]
    scenes = [Georeference(each["crs"], tuple(each["transform"])) for each in census["scenes"]]
    units = {each[0]: each for each in census["units"]}
    state = state_of(issued["journal"], "certificate")
    rows = []
    for line in issued["journal"]:
        if line["event"] != ANSWERED:
            continue
        each = Answer.from_line(line)
        unit = units[each.unit]
        lon, lat = scenes[unit[1]].lonlat(unit[2] + unit[4] / 2, unit[3] + unit[5] / 2)
        held = any(each == other for other in state.answers.get(each.unit, ()))
        answer = "cannot tell" if each.count is None else str(each.count)
        rows.append(
            (each.unit, f"{float(lat):.5f}, {float(lon):.5f}", each.round,
             answer if held else f"{answer} (taken back)", each.reviewer, each.time)
        )  # fmt: skip
    if not rows:
        return "<p>None yet.</p>"
    return _table(["Unit", "Latitude, longitude", "Round", "Things", "Reviewer", "Time"], rows)


def _figure(issued: Mapping[str, Any]) -> str:
    """Where the units lie, as a drawing: judged ones dark, those with things in colour."""
    census = issued["census"]
    if len(census["units"]) > 20_000:
        return ""
    state = state_of(issued["journal"], "certificate")
    scenes = census["scenes"]
    # Scenes may be in several CRS, or lie far apart: each is drawn by itself, side by side.
    across = min(len(scenes), 10)
    gap, drawn = 6.0, []
    side = max(max(each["width"], each["height"]) for each in scenes)
    for unit in census["units"]:
        row, col = divmod(unit[1], across)
        x, y, width, height = (
            round(value * 100 / side, 2) for value in (unit[2], unit[3], unit[4], unit[5])
        )
        x, y = x + col * (100 + gap), y + row * (100 + gap)
        given = state.answers.get(unit[0])
        fill = "#e2e8f0"
        if given:
            count = given[0].count
            fill = "#f59e0b" if count is None else "#334155" if count == 0 else "#0891b2"
        drawn.append(
            f'<rect x="{x:.2f}" y="{y:.2f}" width="{width * 0.94:.2f}" '
            f'height="{height * 0.94:.2f}" fill="{fill}"/>'
        )
    wide = across * (100 + gap) - gap
    high = -(-len(scenes) // across) * (100 + gap) - gap
    return (
        f'<svg viewBox="0 0 {wide:.0f} {high:.0f}" role="img" aria-label="Units by scene">'
        f"{''.join(drawn)}</svg><p><small>Units by scene: grey not judged, slate judged and empty, "
        "cyan with things, amber cannot tell.</small></p>"
    )


def _table(head: list[str], rows: list[tuple[Any, ...]]) -> str:
    top = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{f'<tr>{top}</tr>' if any(head) else ''}{body}</table>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _interval(ends: Mapping[str, Any]) -> str:
    return "" if ends["low"] is None else f"{ends['low']:,} to {ends['high']:,}"

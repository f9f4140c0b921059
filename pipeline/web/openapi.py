"""The REST interface described: an OpenAPI 3.1 document and a page that shows it.

The page is made here, without a library from elsewhere, so that it opens in a closed network.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pipeline import __version__
from pipeline.export.formats import FORMATS
from pipeline.search.recipe import Recipe
from pipeline.web.tiles import PICTURE_SIZES

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_WHOLE: dict[str, Any] = {"type": "integer"}
_FLAG: dict[str, Any] = {"type": "boolean"}
_OBJECT: dict[str, Any] = {"type": "object"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}


def _numbers(count: int) -> dict[str, Any]:
    return {"type": "array", "items": _NUMBER, "minItems": count, "maxItems": count}


def _said(schema: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return {**schema, "description": text, **more}


RECIPE: dict[str, Any] = Recipe.json_schema()["properties"]
HIT: dict[str, Any] = {
    "rank": _said(_WHOLE, "1 for the best; with good or bad examples not in the order of scores"),
    "id": _said(_TEXT, "Chip id"),
    "score": _said(_NUMBER, "Cosine to the query, moved to 2·good − bad by examples"),
    "scene_id": _TEXT,
    "datetime": _said({"type": ["string", "null"]}, "Acquisition, ISO 8601"),
    "geometry": _said({"type": "object"}, "Footprint, GeoJSON polygon, EPSG:4326"),
    "row": _said(_WHOLE, "Row in footprints.f64"),
    "lon": _NUMBER,
    "lat": _NUMBER,
}
BUILD: dict[str, Any] = {
    "name": _said(_TEXT, "Collection to make, continue or enlarge"),
    "scenes": _said(_TEXTS, "Paths in an allowed folder, or https addresses"),
    "stride": _said(_WHOLE, "Pixels between chips", minimum=32, maximum=256, multipleOf=32),
    "area": _said({"type": "object"}, "GeoJSON; chips whose centre lies outside are left out"),
    "mode": _said(_TEXT, "How chips are embedded", enum=["chip", "dense"]),
    "title": _said(_TEXT, "What people call it"),
}
_WHAT = _said(_TEXT, "Hits, or the places they make up", enum=["hits", "sites"], default="hits")
_FORMAT = _said(_TEXT, "File format", enum=list(FORMATS), default="geojson")
_SAVED = {
    "id": _TEXT, "name": _TEXT, "note": _TEXT, "created": _TEXT, "updated": _TEXT,
    "reviewed": _WHOLE, "query": _TEXT, "recipe": {"$ref": "#/components/schemas/Recipe"},
    "start": _said({"type": "object"}, "What was looked for"),
    "changed": _said({"type": "boolean"}, "Whether the collection changed since"),
    "missing": _said(_TEXTS, "Hits whose chips are gone"),
}  # fmt: skip

SCHEMAS: dict[str, Any] = {
    "Recipe": Recipe.json_schema(),
    "Hit": {"type": "object", "properties": HIT},
    "Answer": {
        "type": "object",
        "properties": {
            "hits": {"type": "array", "items": {"$ref": "#/components/schemas/Hit"}},
            "eligible": _said(_WHOLE, "Chips the filters admit"),
            "total": _said(_WHOLE, "Chips in the collection"),
            "seconds": _NUMBER,
            "version": _said(_TEXT, "State of the collection's chips"),
            "query": _said({"type": "object"}, "What was looked for"),
            "examples": _said(
                {"type": "array", "items": _OBJECT}, "Where the good and bad examples lie"
            ),
            "sites": _said({"type": "array", "items": _OBJECT}, "Places, if they were asked for"),
        },
    },
    "Build": {
        "type": "object",
        "properties": BUILD,
        "required": ["name"],
        "additionalProperties": False,
    },
    "Job": {
        "type": "object",
        "properties": {
            "id": _TEXT,
            "collection": _TEXT,
            "state": _said(
                _TEXT,
                "How it stands",
                enum=[
                    "queued", "running", "cancelling", "cancelled", "failed", "interrupted", "done",
                ],
            ),
            "stage": _TEXT, "done": _WHOLE, "total": _WHOLE, "unit": _TEXT, "note": _TEXT,
            "rate": _said({"type": ["number", "null"]}, "Units a second"),
            "left": _said({"type": ["number", "null"]}, "Seconds left of the stage"),
            "error": {"type": ["object", "null"]},
            "failures": {"type": "array", "items": {"type": "object"}},
            "summary": {"type": ["object", "null"]},
        },
    },
    "Saved": {"type": "object", "properties": _SAVED},
    "Problem": {
        "type": "object",
        "description": "RFC 9457",
        "properties": {
            "type": _TEXT, "status": _WHOLE, "title": _said(_TEXT, "What is wrong"),
            "detail": _said(_TEXT, "Where"), "remedy": _said(_TEXT, "What to do"),
        },
    },
}  # fmt: skip


def _json(schema: str | dict[str, Any], many: bool = False) -> dict[str, Any]:
    one = {"$ref": f"#/components/schemas/{schema}"} if isinstance(schema, str) else schema
    return {"application/json": {"schema": {"type": "array", "items": one} if many else one}}


def _binary(media_type: str) -> dict[str, Any]:
    return {media_type: {"schema": {"type": "string", "format": "binary"}}}


def _operation(
    summary: str,
    answer: dict[str, Any] | None = None,
    *,
    body: dict[str, Any] | None = None,
    status: int = 200,
    query: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    done: dict[str, Any] = {"description": "Done"}
    if answer is not None:
        done["content"] = answer
    made: dict[str, Any] = {
        "summary": summary,
        "responses": {
            str(status): done,
            "default": {"description": "Refused or failed", "content": problem},
        },
    }
    if body is not None:
        made["requestBody"] = {"required": True, "content": body}
    if query:
        made["parameters"] = [
            {"name": name, "in": "query", "schema": schema} for name, schema in query.items()
        ]
    return made


_PNG = _binary("image/png")
_UPLOAD = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {"image": {"type": "string", "format": "binary"}, **RECIPE},
        }
    }
}
_ONE = "/api/collections/{name}"
_SEARCH = f"{_ONE}/searches/{{search}}"
_SIZE = {"size": {**_WHOLE, "enum": list(PICTURE_SIZES), "default": 256}}
_DAYS = {
    "before": _said(_TEXT, "Earlier date, by default the first: 2009-08-18, 2009-08 or 2009"),
    "after": _said(_TEXT, "Later date, by default the last"),
    "margin": _said(_NUMBER, "By how much a score must change", default=0.05),
}
_EXPORTED = _binary("application/octet-stream")

PATHS: dict[str, dict[str, Any]] = {
    "/api/collections": {
        "get": _operation(
            "All collections; one that cannot be read has `error` and `remedy`",
            _json(_OBJECT, many=True),
        )
    },
    _ONE: {"get": _operation("One collection: scenes, bounds, counts", _json(_OBJECT))},
    f"{_ONE}/index": {"get": _operation("Load the index, so that searches are quick", _json({}))},
    f"{_ONE}/search": {
        "post": _operation(
            "Search; with sites=1 overlapping hits come merged into places too, and k counts those",
            _json("Answer"),
            body={**_json("Recipe"), **_UPLOAD},
            query={"sites": _WHOLE},
        )
    },
    f"{_ONE}/scores": {
        "post": _operation(
            "Score of every chip: little-endian floats (n,), not a number where filtered out",
            _EXPORTED,
            body=_json("Recipe"),
        )
    },
    f"{_ONE}/cells": {
        "post": _operation(
            "Where inside chips the match is: 8×8 cosines by chip id, rows from the top",
            _json(_OBJECT),
            body=_json({"type": "object", "properties": {**RECIPE, "chips": _TEXTS}}),
        )
    },
    f"{_ONE}/eligible": {
        "post": _operation("How many chips the filters admit", _json(_OBJECT), body=_json("Recipe"))
    },
    f"{_ONE}/changes": {
        "post": _operation(
            "Where it appeared, disappeared or persists; with geojson=1 as one FeatureCollection",
            _json(_OBJECT),
            body=_json({"type": "object", "properties": {**RECIPE, **_DAYS}}),
            query={"geojson": _WHOLE},
        )
    },
    f"{_ONE}/chip": {
        "get": _operation(
            "The chip at a point, of one day if you like",
            _json(_OBJECT),
            query={"lon": _NUMBER, "lat": _NUMBER, "day": _TEXT},
        )
    },
    f"{_ONE}/box.png": {
        "get": _operation("What a box is searched by", _PNG, query={"box": _numbers(4)})
    },
    f"{_ONE}/chips/{{chip}}.png": {"get": _operation("Picture of a chip", _PNG, query=_SIZE)},
    f"{_ONE}/chips.zip": {
        "get": _operation(
            "All chips as files, with world files and a manifest",
            _binary("application/zip"),
            query={"format": _said(_TEXT, "Of the pictures", enum=["png", "jpeg", "geotiff"])},
        )
    },
    f"{_ONE}/pictures/{{picture}}.png": {"get": _operation("An uploaded query picture", _PNG)},
    f"{_ONE}/preview.png": {"get": _operation("Small picture of the collection", _PNG)},
    f"{_ONE}/footprints.f64": {
        "get": _operation(
            "Corners of every chip: little-endian doubles (n, 4, 2), longitude and latitude",
            _EXPORTED,
        )
    },
    f"{_ONE}/tiles/{{scene}}/{{z}}/{{x}}/{{y}}.png": {
        "get": _operation("Web Mercator tile of a scene", _PNG)
    },
    f"{_ONE}/export": {
        "post": _operation(
            "Search and get the result as a file",
            _EXPORTED,
            body=_json(
                {"type": "object", "properties": {**RECIPE, "format": _FORMAT, "what": _WHAT}}
            ),
        )
    },
    f"{_ONE}/searches": {
        "get": _operation("Saved searches", _json("Saved", many=True)),
        "post": _operation(
            "Search and save, marks by chip id too; with sites=1 the hits that make up k places",
            _json("Saved"),
            status=201,
            query={"sites": _WHOLE},
            body=_json(
                {"type": "object", "properties": {**RECIPE, "name": _TEXT, "marks": _OBJECT}}
            ),
        ),
    },
    _SEARCH: {
        "get": _operation("Reopen a saved search, its hits as they were", _json("Saved")),
        "patch": _operation(
            "Rename it or keep a note",
            _json("Saved"),
            body=_json({"type": "object", "properties": {"name": _TEXT, "note": _TEXT}}),
        ),
        "delete": _operation("Delete it", status=204),
    },
    f"{_SEARCH}/marks": {
        "post": _operation(
            "Mark a hit, or note something about it",
            _json(_OBJECT),
            body=_json(
                {
                    "type": "object",
                    "properties": {
                        "chip": _TEXT,
                        "mark": {"enum": ["good", "bad", "skip", None]},
                        "note": _TEXT,
                    },
                    "required": ["chip"],
                }
            ),
        )
    },
    f"{_SEARCH}/precision": {
        "get": _operation("Estimated precision at each threshold", _json(_OBJECT, many=True))
    },
    f"{_SEARCH}/picture.png": {"get": _operation("What was looked for", _PNG)},
    f"{_SEARCH}/export": {
        "get": _operation(
            "Export it",
            _EXPORTED,
            query={
                "format": _FORMAT,
                "what": _WHAT,
                "min": _said(_NUMBER, "Least score"),
                "marks": _said(_TEXT, "good, bad, skip, none, separated by commas"),
            },
        )
    },
    f"{_SEARCH}/compare": {
        "get": _operation(
            "Compare it with another",
            _json(_OBJECT),
            query={"with": _TEXT, "in": _said(_TEXT, "Collection of the other, if not this")},
        )
    },
    "/api/searches": {"get": _operation("Saved searches of every collection", _json(_OBJECT))},
    "/api/jobs": {
        "get": _operation("All jobs, the newest first", _json("Job", many=True)),
        "post": _operation("Queue a build", _json("Job"), status=202, body=_json("Build")),
    },
    "/api/jobs/{job}": {
        "get": _operation("One job", _json("Job")),
        "delete": _operation("Forget a job that has ended", status=204),
    },
    "/api/jobs/{job}/log": {"get": _operation("What happened in it", _json(_OBJECT))},
    "/api/jobs/{job}/preview.jpg": {
        "get": _operation("The chips made last", _binary("image/jpeg"))
    },
    "/api/jobs/{job}/cancel": {"post": _operation("Stop it, keeping what is done", _json("Job"))},
    "/api/jobs/{job}/resume": {"post": _operation("Continue it", _json("Job"))},
}


def document(base: str = "") -> dict[str, Any]:
    """The OpenAPI document of a server under `base`."""
    paths = {}
    for path, operations in PATHS.items():
        names = [part[1:].split("}")[0] for part in path.split("/") if part.startswith("{")]
        inside = [{"name": n, "in": "path", "required": True, "schema": _TEXT} for n in names]
        paths[path] = {**operations, **({"parameters": inside} if inside else {})}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Lookalike",
            "version": __version__,
            "description": "Reverse visual search over satellite imagery. Longitude comes first; "
            "times are UTC. A refusal is application/problem+json with what to do about it.",
        },
        "servers": [{"url": base or "/"}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def routes(base: str = "") -> list[Route]:
    """The document and the page."""

    def raw(request: Request) -> Response:
        return JSONResponse(document(base))

    def page(request: Request) -> Response:
        return HTMLResponse(page_of(document(base)))

    return [Route("/api/openapi.json", raw), Route("/api/docs", page)]


def page_of(made: dict[str, Any]) -> str:
    """The document as a page: no script, nothing from elsewhere."""
    parts = []
    for path, operations in made["paths"].items():
        for verb, operation in operations.items():
            if verb != "parameters":
                parts.append(_shown(path, verb, operation))
    schemas = "".join(
        f"<details><summary><code>{name}</code></summary>{_fields(schema)}</details>"
        for name, schema in made["components"]["schemas"].items()
    )
    info = made["info"]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(info['title'])} REST</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(info['title'])} REST <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info['description'])}</p>"
        '<p>The same as a document: <a href="openapi.json">openapi.json</a>.</p>'
        f"{''.join(parts)}<h2>Types</h2>{schemas}</main></body></html>"
    )


def _shown(path: str, verb: str, operation: dict[str, Any]) -> str:
    rows = [
        f"<tr><td><code>?{one['name']}</code></td><td>{_kind(one['schema'])}</td></tr>"
        for one in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {}).get("content", {})
    sent = "".join(
        f"<p>Send <code>{escape(media)}</code></p>{_fields(content['schema'])}"
        for media, content in body.items()
    )
    got = [
        f"{status} <code>{escape(', '.join(answer.get('content', {'nothing': 0})))}</code>"
        for status, answer in operation["responses"].items()
        if status != "default"
    ]
    return (
        f'<details><summary><b class="{verb}">{verb.upper()}</b> <code>{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary>"
        f"<table>{''.join(rows)}</table>{sent}<p>Get {' '.join(got)}</p></details>"
    )


def _fields(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"<p>A <code>{schema['$ref'].rpartition('/')[2]}</code>, see Types.</p>"
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_kind(field)}</td>"
        f"<td>{escape(field.get('description', ''))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table>{rows}</table>"


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return escape(" | ".join(json.dumps(value) for value in schema["enum"]))
    if "$ref" in schema:
        return escape(schema["$ref"].rpartition("/")[2])
    kind = schema.get("type", "any")
    kind = " or ".join(kind) if isinstance(kind, list) else kind
    default = f" = {json.dumps(schema['default'])}" if "default" in schema else ""
    return escape(f"{kind}{default}")


STYLE = """
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{margin:0;background:light-dark(#fff,#0f172a);color:light-dark(#0f172a,#e2e8f0)}
main{max-width:60rem;margin:0 auto;padding:1.5rem}
a{color:light-dark(#0e7490,#67e8f9)}
details{border:1px solid light-dark(#cbd5e1,#334155);border-radius:8px;margin:.4rem 0;
padding:.4rem .8rem}
summary{cursor:pointer;overflow-wrap:anywhere}
summary b{display:inline-block;min-width:4.2rem}
td{padding:.15rem .9rem .15rem 0;vertical-align:top}
code{font-family:ui-monospace,Menlo,Consolas,monospace}
small{font-weight:400;opacity:.7}
"""

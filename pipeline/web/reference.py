"""The REST interface's OpenAPI document as a page.

The page is made here, without a library from elsewhere, so that it opens in a closed network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Any

_STYLE = """
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


def html_page(title: str, body: str) -> str:
    """A page in the style of the REST interface.

    Args:
        title: Text.
        body: HTML.
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>"
    )


def reference_page(document: dict[str, Any]) -> str:
    """An OpenAPI document as a page that needs no script."""
    info = document["info"]
    operations = [
        (operation["tags"][0], _operation(path, method, operation))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    sections = "".join(
        f"<h2>{escape(tag)}</h2>{''.join(shown for _, shown in group)}"
        for tag, group in groupby(operations, key=lambda operation: operation[0])
    )
    types = "".join(
        f"<details><summary><code>{escape(name)}</code> "
        f"{escape(schema.get('description', ''))}</summary>{_fields(schema)}</details>"
        for name, schema in document["components"]["schemas"].items()
    )
    return html_page(
        f"{info['title']} REST",
        f"<h1>{escape(info['title'])} REST <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info['description'])}</p>"
        '<p>The same as a document: <a href="openapi.json">openapi.json</a>.</p>'
        f"{sections}<h2>Types</h2>{types}",
    )


def in_words(schema: Mapping[str, Any]) -> str:
    """What a JSON schema asks for, such as "a number from 0 to 2"."""
    if "anyOf" in schema or "oneOf" in schema:
        several = schema.get("anyOf") or schema["oneOf"]
        return _join_words([in_words(option) for option in several if option.get("type") != "null"])
    if "enum" in schema or "const" in schema:
        return _join_words([str(value) for value in schema.get("enum", [schema.get("const")])])
    if "$ref" in schema:
        return f"a {schema['$ref'].rpartition('/')[2]}"
    kind = schema.get("type")
    if kind in ("number", "integer"):
        noun = "a number" if kind == "number" else "a whole number"
        step = schema.get("multipleOf")
        noun = f"a multiple of {step:g}" if step else noun
        return noun + _range(schema.get("minimum"), schema.get("maximum"), " from")
    if kind == "array":
        items = schema.get("items", {})
        length = _range(schema.get("minItems"), schema.get("maxItems"), " of") or " of"
        named = items.get("$ref", "").rpartition("/")[2]
        return f"a list{length} {named or _PLURALS.get(items.get('type'), 'items')}"
    if kind == "string" and schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if kind == "string":
        longest = schema.get("maxLength")
        return f"a string of at most {longest} characters" if longest else "a string"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"an object whose values are {in_words(schema['additionalProperties'])}"
    return {"object": "an object", "boolean": "true or false"}.get(str(kind), "any value")


_FORMATS = {"binary": "a file", "date": "a day, YYYY-MM-DD"}
_PLURALS = {
    "string": "strings", "number": "numbers", "integer": "whole numbers", "array": "lists",
    "object": "objects",
}  # fmt: skip


def _range(least: float | None, most: float | None, between: str) -> str:
    if least is None:
        return "" if most is None else f" of at most {most:g}"
    if most is None:
        return f" of at least {least:g}"
    return f"{between} {least:g}" + ("" if least == most else f" to {most:g}")


def _join_words(words: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = "".join(
        _row(("?" if field["in"] == "query" else "") + field["name"], field["schema"], field)
        for field in operation.get("parameters", ())
    )
    sent = "".join(
        f"<p>Send <code>{escape(media_type)}</code></p>{_fields(content['schema'])}"
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items()
    )
    received = "".join(
        f"<p>Get {status} {_content(response) or 'without content'}</p>"
        for status, response in operation["responses"].items()
        if status != "default"
    )
    return (
        f'<details><summary><b class="{method}">{method.upper()}</b> <code>{escape(path)}</code> '
        f"{escape(operation['summary'])}</summary><p>{escape(operation.get('description', ''))}</p>"
        f"<table>{parameters}</table>{sent}{received}</details>"
    )


def _content(response: dict[str, Any]) -> str:
    return ", ".join(
        f"<code>{escape(media_type)}</code>, {escape(in_words(content.get('schema', {})))}"
        for media_type, content in response.get("content", {}).items()
    )


def _fields(schema: dict[str, Any]) -> str:
    rows = (_row(name, field, field) for name, field in schema.get("properties", {}).items())
    return f"<table>{''.join(rows)}</table>"


def _row(name: str, schema: dict[str, Any], described: dict[str, Any]) -> str:
    default = schema.get("default")
    words = in_words(schema)
    if default not in (None, "", [], {}):
        words += f"; {json.dumps(default)} by default"
    return (
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(words)}</td>"
        f"<td>{escape(described.get('description', ''))}</td></tr>"
    )

"""Make `docs/reverse_visual_search.ipynb` and `docs/results.md` (`make docs`).

The notebook is written from the cells below and `result_queries.py`, then executed.  The page takes
its text from the notebook's text cells and its pictures from the outputs, so that the two cannot
disagree.

The sample collections are built for it in `.cache/results`, chip by chip: the comments in
`result_queries.py` are about these vectors, while `make sample` takes the dense mode, the default
at stride 64.
"""

from __future__ import annotations

import base64
import os
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from result_queries import CLOSING, OBJECT_QUERIES, OPENING, QUERIES, ResultQuery

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from pipeline.build.build import build
from pipeline.build.samples import sample_requests
from pipeline.collection.library import Library
from pipeline.model.weights.cache import cache_path
from pipeline.settings import settings
from pipeline.sources import forest

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "results"
NOTEBOOK = DOCS / "reverse_visual_search.ipynb"
HOME = DOCS.parent / ".cache" / "results"
PAGE = DOCS / "results.md"
LARGEST_PICTURE = 300_000

SET_UP = """\
import io

import numpy as np
from IPython.display import Image as Shown, Markdown, display
from PIL import Image, ImageDraw, ImageFont

from pipeline.collection.chip_pictures import read_chips
from pipeline.collection.library import Library
from pipeline.index.index import Index
from pipeline.imagery.reader import SceneReader
from pipeline.search.queries import by_picture, by_point
from pipeline.search.search import search
from pipeline.settings import settings

library = Library(settings().home)
bay, lake = library.open("san-francisco-bay"), library.open("great-salt-lake")
index = {collection.name: Index.open(collection) for collection in (bay, lake)}"""

DRAWING = '''\
TILE, GAP = 150, 8
CYAN, WARM = (34, 211, 238), [(255, 240 - 17 * n, 130 - 13 * n) for n in range(10)]
font = ImageFont.load_default(size=13)


def jpeg(picture, quality=82):
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality, optimize=True)
    return Shown(data=content.getvalue(), format="jpeg")


def chip_picture(collection, row, size):
    """A chip as the network sees it, resized."""
    return Image.fromarray(next(read_chips(collection, [row], size)))


def scene_picture(collection, height, marks=()):
    """A collection's scene, with the footprints of chips (row, colour, text) on it."""
    (scene,) = collection.scenes.values()
    side = max(scene.width, scene.height)
    with SceneReader(scene) as reader:
        square = reader.thumbnail(0, 0, side, side, round(height * side / scene.height))
    picture = Image.fromarray(square).crop((0, 0, scene.width * height // scene.height, height))
    pen, scale = ImageDraw.Draw(picture), height / scene.height
    for row, colour, text in reversed(marks):
        x, y = collection.chips.cols[row] * scale, collection.chips.rows[row] * scale
        frame = (x, y, x + 256 * scale, y + 256 * scale)
        pen.rectangle((frame[0] - 1, frame[1] - 1, frame[2] + 1, frame[3] + 1), None, "black", 4)
        pen.rectangle(frame, outline=colour, width=2)
        pen.text((x + 4, y + 2), text, fill=colour, font=font, stroke_width=2, stroke_fill="black")
    return picture


def ask(query, *collections, k=10):
    """The k best hits over some collections: (collection, hit), best first."""
    found = [
        (collection, hit)
        for collection in collections
        for hit in search(collection, index[collection.name], query, k=k).hits
    ]
    return sorted(found, key=lambda pair: -pair[1].score)[:k]


def scores(hits):
    return Markdown("Scores: " + ", ".join(f"{hit.score:.2f}" for _, hit in hits))


def sheet(picture, hits, origin=None):
    """The query, its hits with scores, and their locations.

    `origin` is the query's own (collection, row), to be marked on the map.
    """
    places = list(dict.fromkeys([*([origin[0]] if origin else []), *(c for c, _ in hits)]))
    height = 2 * (TILE + 18) + GAP
    maps = []
    for place in places:
        marks = [(origin[1], CYAN, "")] if origin and origin[0] is place else []
        marks += [
            (hit.row, WARM[rank], str(rank + 1))
            for rank, (collection, hit) in enumerate(hits) if collection is place
        ]
        maps.append(scene_picture(place, height if len(places) == 1 else height * 2 // 3, marks))
    left = TILE * 2 + 2 * GAP
    width = left + 5 * (TILE + GAP) + sum(m.width + GAP for m in maps)
    canvas = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((0, 0), "query", fill="black", font=font)
    canvas.paste(picture.resize((TILE * 2, TILE * 2)), (0, 18))
    pen.rectangle((0, 18, TILE * 2, 18 + TILE * 2), outline=CYAN, width=3)
    for n, (collection, hit) in enumerate(hits):
        x, y = left + n % 5 * (TILE + GAP), n // 5 * (TILE + 18 + GAP)
        pen.text((x, y), f"{n + 1}   {hit.score:.2f}", fill="black", font=font)
        canvas.paste(chip_picture(collection, hit.row, TILE), (x, y + 18))
    x = left + 5 * (TILE + GAP)
    for picture in maps:
        canvas.paste(picture, (x, 0))
        x += picture.width + GAP
    return jpeg(canvas)'''

SCENES = """\
for collection in (bay, lake):
    (scene,) = collection.scenes.values()
    display(Markdown(
        f"**{scene.title}**: {scene.width}×{scene.height} pixels of {scene.gsd:.0f} m, "
        f"{scene.count} bands of {scene.dtype}, of which {', '.join(map(str, scene.bands))} are "
        f"shown, {scene.crs}"
    ))
    display(jpeg(scene_picture(collection, 560), quality=75))"""

CHIPS = """\
for collection in (bay, lake):
    chips, manifest = collection.chips, collection.manifest
    skipped = ", ".join(f"{n} skipped ({why})" for why, n in manifest.left_out.items())
    display(Markdown(
        f"**{manifest.title}**: {len(chips)} chips at stride {manifest.stride}"
        f"{'; ' + skipped if skipped else ''}. The first one: `{chips.ids[0].decode()}`, pixels "
        f"{chips.cols[0]}, {chips.rows[0]}, upper left corner {chips.corners[0, 0].round(5)}"
    ))

rows = np.linspace(0, len(bay.chips) - 1, 8).astype(int)
strip = Image.new("RGB", (8 * (TILE + GAP), TILE), "white")
for n, row in enumerate(rows):
    strip.paste(chip_picture(bay, row, TILE), (n * (TILE + GAP), 0))
display(jpeg(strip))"""

FEATURES = """\
from pipeline.model.loader import resnet50

model = bay.manifest.model
embedder = resnet50(model.mode)
vectors = np.asarray(index[bay.name].vectors, np.float32)
display(Markdown(
    f"Model {model.name}, weights {model.weights_sha256[:12]}…, preprocessing "
    f"{model.preprocessing}, pooling {model.pooling}, {model.mode} mode. "
    f"{vectors.shape[0]} vectors of {vectors.shape[1]} numbers; {np.mean(vectors > 0.001):.0%} of "
    f"them are above zero."
))

pairs = vectors @ vectors.T
cosines = pairs[np.triu_indices(len(vectors), 1)]
display(Markdown(
    "Cosine of two chips of the Bay: "
    + ", ".join(f"{p}% are below {np.percentile(cosines, p):.2f}" for p in (5, 50, 95))
    + "."
))"""


OBJECTS = '''\
from pipeline.objects.find import find
from pipeline.objects.places import Example

forest = library.open("yellowstone-forest")
(scene,) = forest.scenes.values()
SMALL = 96


def square_picture(col, row, size_m):
    """A thing in the forest and some of its surroundings."""
    side = round(1.4 * size_m / scene.gsd)
    left = min(max(round(col - side / 2), 0), scene.width - side)
    top = min(max(round(row - side / 2), 0), scene.height - side)
    with SceneReader(scene) as reader:
        pixels, _ = reader.read(left, top, side, side)
    return Image.fromarray(pixels).resize((SMALL, SMALL))


def objects_sheet(lon, lat, size_m):
    """What one click finds: the query, the best twenty, and their places."""
    found = find([forest], [Example(lon, lat, size_m, size_m)], k=20).objects
    col, row = (float(axis) for axis in scene.georeference.pixels(lon, lat))
    height = 4 * (SMALL + 18 + GAP) - GAP
    picture = scene_picture(forest, height)
    pen, scale = ImageDraw.Draw(picture), height / scene.height
    half = size_m / scene.gsd / 2
    marks = [(one.col, one.row, WARM[min(n // 2, 9)], str(n + 1)) for n, one in enumerate(found)]
    for x, y, colour, text in [*reversed(marks), (col, row, CYAN, "")]:
        frame = [(at + off) * scale for off in (-half, half) for at in (x, y)]
        pen.rectangle(frame, outline=colour, width=2)
        pen.text((frame[2] + 2, frame[1]), text, fill=colour, font=font, stroke_width=2,
                 stroke_fill="black")
    left = SMALL + 2 * GAP
    canvas = Image.new("RGB", (left + 5 * (SMALL + GAP) + picture.width, height), "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((0, 0), "query", fill="black", font=font)
    canvas.paste(square_picture(col, row, size_m), (0, 18))
    for n, one in enumerate(found):
        x, y = left + n % 5 * (SMALL + GAP), n // 5 * (SMALL + 18 + GAP)
        pen.text((x, y), f"{n + 1}   {one.score:.2f}", fill="black", font=font)
        canvas.paste(square_picture(one.col, one.row, size_m), (x, y + 18))
    canvas.paste(picture, (left + 5 * (SMALL + GAP), 0))
    return jpeg(canvas)


display(Markdown(
    f"**{forest.manifest.title}**: {scene.width}×{scene.height} pixels of {scene.gsd:.1f} m"
))'''


def notebook() -> nbformat.NotebookNode:
    """The notebook, not yet executed; the picture a cell makes is named in its metadata."""
    cells = [
        new_markdown_cell(OPENING["title"]),
        new_markdown_cell("## Set-up\n\n" + OPENING["set-up"]),
        new_code_cell(SET_UP),
        new_code_cell(DRAWING),
        new_markdown_cell("## The scenes\n\n" + OPENING["scenes"]),
        _code(SCENES, "scene"),
        new_markdown_cell("## The chips\n\n" + OPENING["chips"]),
        _code(CHIPS, "chips"),
        new_markdown_cell("## The embeddings\n\n" + OPENING["features"]),
        _code(FEATURES, "features"),
        new_markdown_cell("## The queries\n\n" + OPENING["queries"]),
    ]
    for number, query in enumerate(QUERIES, 1):
        cells.append(new_markdown_cell(f"### {number}. {query.title}\n\n*{query.verdict}*"))
        cells.append(_code(_query_code(query), query.slug, query.title))
        cells.append(new_markdown_cell(query.why))
    cells.append(new_markdown_cell("## Objects\n\n" + OPENING["objects"]))
    cells.append(_code(OBJECTS, "objects"))
    for number, thing in enumerate(OBJECT_QUERIES, len(QUERIES) + 1):
        cells.append(new_markdown_cell(f"### {number}. {thing.title}\n\n*{thing.verdict}*"))
        show = "display(objects_sheet({}, {}, {}))".format(*thing.at, thing.size_m)
        cells.append(_code(show, thing.slug, thing.title))
        cells.append(new_markdown_cell(thing.why))
    cells.append(new_markdown_cell("## What to take from this\n\n" + CLOSING))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _code(source: str, picture: str, title: str = "") -> nbformat.NotebookNode:
    return new_code_cell(source, metadata={"picture": picture, "title": title or picture})


def _query_code(query: ResultQuery) -> str:
    searched = ", ".join(query.searched or (query.collection,))
    if query.picture:
        return (
            f"{query.picture}\n"
            f"hits = ask(by_picture(np.asarray(picture), embedder), {searched})\n"
            "display(sheet(picture, hits), scores(hits))"
        )
    lon, lat = query.at
    return (
        f"query = by_point({query.collection}, index[{query.collection}.name], {lon}, {lat})\n"
        f"row = {query.collection}.chips.row_of(query.chips[0])\n"
        f"hits = ask(query, {searched})\n"
        f"display(sheet(chip_picture({query.collection}, row, 256), hits,"
        f" ({query.collection}, row)), scores(hits))"
    )


def build_samples() -> None:
    """Build the sample collections in `HOME`, or continue an interrupted build."""
    library = Library(HOME)
    for request in sample_requests():
        # Objects are looked for in the forest, at the scales that `make sample` makes.
        build(request if request.name == forest.NAME else replace(request, mode="chip"), library)


def execute(book: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Run all cells in a kernel of this Python, in the repository's root."""
    client = NotebookClient(
        book,
        kernel_name="python3",
        extra_arguments=["--log-level=40"],
        timeout=900,
        record_timing=False,
        resources={"metadata": {"path": str(DOCS.parent)}},
    )
    weights = settings().weights or cache_path(settings().home)
    client.execute(
        env={**os.environ, "LOOKALIKE_HOME": str(HOME), "LOOKALIKE_WEIGHTS": str(weights)}
    )
    for cell in book.cells:
        if cell.cell_type == "code":
            # TensorFlow's messages about the machine are of no use to a reader.
            cell.outputs = [out for out in cell.outputs if out.get("name") != "stderr"]
    book.metadata.pop("language_info", None)
    return book


def page(book: nbformat.NotebookNode) -> str:
    """The results page: the notebook's text and outputs, its pictures as files."""
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.glob("*.jpg"):
        old.unlink()
    blocks = []
    for cell in book.cells:
        if cell.cell_type == "markdown":
            blocks.append(cell.source)
            continue
        name = cell.metadata.get("picture")
        for number, output in enumerate(cell.outputs if name else []):
            file = f"{name}-{number}" if number else name
            blocks.append(_block(output.data, file, cell.metadata["title"]))
    text = "\n\n".join(block for block in blocks if block)
    return re.sub(r"\n{3,}", "\n\n", text) + "\n"


def _block(data: dict[str, Any], name: str, title: str) -> str:
    if "image/jpeg" not in data:
        return str(data["text/markdown"])
    content = base64.b64decode(data["image/jpeg"])
    if len(content) > LARGEST_PICTURE:
        sys.exit(f"{name}.jpg has {len(content)} bytes, more than {LARGEST_PICTURE}")
    (PICTURES / f"{name}.jpg").write_bytes(content)
    return f"![{title}](results/{name}.jpg)"


def main() -> None:
    """Write the notebook, run it, and make the page of it."""
    build_samples()
    book = execute(notebook())
    nbformat.validate(book)
    NOTEBOOK.write_text(nbformat.writes(book) + "\n")
    PAGE.write_text(page(book))
    print(f"{NOTEBOOK.name} and {PAGE.name}: {len(QUERIES) + len(OBJECT_QUERIES)} queries")


if __name__ == "__main__":
    main()

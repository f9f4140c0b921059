"""What a search looked for, as one picture: kept beside a saved search, shown in lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.imagery.reader import SceneReader
from pipeline.imagery.render import encoded
from pipeline.search import uploads
from pipeline.search.boxes import cut_out

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.search.recipe import Recipe

CHIP = 256


def png(collection: Collection, recipe: Recipe) -> bytes | None:
    """The picture of a recipe's start, 256×256, or None where it starts from nothing one can see.

    Raises:
        NotFoundError: If the chip, the place or the kept picture is gone.
    """
    if recipe.picture:
        return uploads.png(collection, recipe.picture)
    if recipe.box:
        return encoded(cut_out(collection, recipe.box).pixels, "PNG")
    table = collection.chips
    if recipe.at:
        return chip_png(collection, table.row_at(*recipe.at))
    chip = recipe.chip or next(iter(recipe.good), None)
    return chip_png(collection, table.row_of(chip)) if chip else None


def chip_png(collection: Collection, row: int) -> bytes:
    """One chip of a collection as PNG, by its row in the table."""
    table = collection.chips
    scene = collection.scenes[table.scene_ids[int(table.scene[row])]]
    with SceneReader(scene) as reader:
        picture = reader.picture(int(table.cols[row]), int(table.rows[row]), CHIP, CHIP, CHIP)
    return encoded(picture, "PNG")

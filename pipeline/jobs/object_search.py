"""An object search as a job: its request, and its run, which saves what it found."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.collection.library import Library
from pipeline.errors import QueryError
from pipeline.objects.detectors import Detectors
from pipeline.objects.labels import read_labels
from pipeline.objects.recipe import ObjectRecipe
from pipeline.objects.saved import MOST_KEPT, ObjectSearches
from pipeline.objects.service import find_objects
from pipeline.search.open_collections import OpenCollections
from pipeline.search.picture import load

if TYPE_CHECKING:
    from pipeline.progress import OnProgress

#: Windows above which REST runs a search as a job: about ten seconds on two cores.
LARGE = 200_000_000


@dataclass(frozen=True)
class ObjectSearchRequest:
    """The request of a job that searches objects.

    Attributes:
        names: The collections to search; the first one keeps what was found.
        recipe: What to look for.
        title: Name of the saved search; if empty, what is looked for.
        labels: File of further examples, read when the job runs; "" for none.
        image: File of a picture that the object fills, read when the job runs; "" for none.
        detector: Name or file of a detector to apply, if the recipe names none; "" for none.
    """

    names: tuple[str, ...]
    recipe: ObjectRecipe
    title: str = ""
    labels: str = ""
    image: str = ""
    detector: str = ""

    def __post_init__(self) -> None:
        if self.recipe.k > MOST_KEPT:
            raise QueryError(
                f"A search that runs as a job keeps at most {MOST_KEPT:,} objects",
                where=f"k = {self.recipe.k:,}",
                remedy="Ask for a smaller number, or search without a job",
            )

    @property
    def label(self) -> str:
        """What is looked for, in words."""
        if self.detector:
            return f"detector {Path(self.detector).stem}"
        if self.labels:
            return f"labels of {Path(self.labels).name}"
        return f"like {Path(self.image).name}" if self.image else self.recipe.label

    def to_dict(self) -> dict[str, Any]:
        """JSON form; `from_dict` reads it back."""
        fields = {**vars(self), "names": list(self.names), "recipe": self.recipe.to_dict()}
        return {"objects": fields}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ObjectSearchRequest:
        """The request that `to_dict` wrote.

        Raises:
            QueryError: If the recipe cannot be used.
        """
        fields = dict(data["objects"])
        recipe = ObjectRecipe.from_fields(fields["recipe"], start=False)
        return cls(**{**fields, "names": tuple(fields["names"]), "recipe": recipe})


def search(request: ObjectSearchRequest, home: Path, progress: OnProgress) -> dict[str, Any]:
    """Run the search, and save what it found.

    Args:
        request: What to look for, and where.
        home: The home folder.
        progress: Called with the progress; may raise `Cancelled`, and nothing is saved.

    Returns:
        The job's summary: the id of the saved search, how many objects, notes.

    Raises:
        NotFoundError: If a collection, a detector or cells are missing.
        InputError: If the recipe, the labels or the picture cannot be used.
    """
    started = time.monotonic()
    opened = OpenCollections(Library(home))
    notes: list[str] = []
    outcome = find_objects(
        opened,
        request.names,
        request.recipe,
        examples=read_labels(Path(request.labels), notes.append) if request.labels else (),
        picture=load(Path(request.image)) if request.image else None,
        detector=Detectors(home).find(request.detector) if request.detector else None,
        progress=progress,
    )
    saved = ObjectSearches(outcome.collections[0]).save(request.title, outcome)
    result = outcome.result
    unsearched = [
        f"{scene.title} has no object cells and was not searched" for scene in result.missing
    ]
    return {
        "search": saved.id,
        "objects": len(saved.objects),
        "found": result.found,
        "seconds": time.monotonic() - started,
        "notes": [*notes, *result.notes, *unsearched],
    }

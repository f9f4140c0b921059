"""Examples as the network sees them: windows of scenes and their vectors, turned four ways.

Of several examples, those that cannot be used are left out, and the answer says why: a label may
lie beside the imagery, a mark on a scene that was removed since.  If none can be used, that is an
error.  Of very many, a part that is spread evenly over all is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import LookalikeError, ModelMismatchError, NotFoundError, QueryError
from pipeline.geo import antimeridian
from pipeline.model import loader
from pipeline.model.basis import COMPONENTS, basis
from pipeline.model.cells import SCALES, identity_of
from pipeline.objects import scan
from pipeline.objects.open_cells import best_scale, open_cells, scales_of
from pipeline.objects.places import Example, Spot, spot_of
from pipeline.objects.query import framed, no_data, turned_vectors, vectors_of
from pipeline.objects.training import Examples
from pipeline.progress import OnProgress, Progress, silent
from pipeline.vectors import evenly

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

#: Maximum number of examples of one search.
MOST_EXAMPLES = 1_000
#: Examples up to which each passes the network, turned four ways; of more, which show the thing
#: from all sides, the cells of their scenes are taken.
MOST_TURNED = 300
#: Examples from which on progress is worth a word.
_MANY = 32
#: Marked windows whose vectors are kept: the same marks come again with each one added.
_KEPT = 4_096


@dataclass(frozen=True, eq=False)
class Seen:
    """The examples that can be used.

    Attributes:
        spots: Their windows.
        vectors: Their vectors, in the order of the spots, and of the picture last.
        notes: What is to be known of the others, sentences without their full stops.
    """

    spots: tuple[Spot, ...]
    vectors: Examples
    notes: tuple[str, ...] = ()


def see(
    collections: Sequence[Collection],
    examples: Sequence[Example],
    *,
    origins: Sequence[Collection] = (),
    picture: np.ndarray | None = None,
    size_m: float | None = None,
    bad_alone: bool = False,
    progress: OnProgress = silent,
) -> Seen:
    """The windows of examples and their vectors.

    Args:
        collections: What is searched.  Examples that name no collection lie in the first.
        examples: What shows the thing, and what does not.
        origins: Further collections in which examples lie.
        picture: A picture that a good example fills, uint8 (h, h, 3).
        size_m: Width in metres of examples that have none.
        bad_alone: Whether bad examples alone will do, because a detector has good ones.
        progress: Called for every one of many examples; may raise `Cancelled`.

    Raises:
        NotFoundError: If no scene lies under any example.
        QueryError: If no example can be used, or none is good and must be.
        DamagedError: If the imagery cannot be read.
        ModelMismatchError: If other weights than ours made the cells.
    """
    check_weights(collections)
    by_name = {collection.name: collection for collection in (*origins, *collections)}
    placed = [(_collection_of(example, collections[0], by_name), example) for example in examples]
    chosen = _chosen(placed)
    view = _turned if len(chosen) <= MOST_TURNED else _upright
    spots, views, refusals = [], [], []
    for number, (collection, example) in enumerate(chosen):
        if len(chosen) > _MANY:
            progress(Progress("Reading examples", number, len(chosen), "examples"))
        try:
            spot = spot_of(collection, example, size_m)
            views.append(view(collection, spot))
            spots.append(spot)
        except (NotFoundError, QueryError) as error:
            refusals.append(error)
    if refusals and not spots and picture is None:
        raise _unusable(refusals)
    notes = []
    if len(chosen) < len(placed):
        notes.append(
            f"Of {len(placed):,} examples {len(chosen):,} are used, spread evenly over all"
        )
    if refusals:
        first = refusals[0]
        notes.append(
            f"{len(refusals):,} of {len(chosen):,} examples left out: {first.what} ({first.where})"
        )
    vectors = _examples(spots, views, picture)
    if not (bad_alone or len(vectors.good)):
        raise QueryError(
            "There is no good example to search from",
            remedy="Mark or draw at least one object that is what you look for",
        )
    return Seen(tuple(spots), vectors, tuple(notes))


def check_weights(collections: Sequence[Collection]) -> None:
    """Refuse collections whose cells were made by other weights than those of this computer.

    Raises:
        ModelMismatchError: If there is one.
    """
    ours = loader.cells().identity
    for collection in collections:
        if identity_of(collection.manifest.model.weights_sha256) != ours:
            raise ModelMismatchError(
                "Other weights of the network made this collection than are here",
                where=collection.name,
                remedy="Search it where it was built, or build it again with the weights here",
            )


def spots_of(collection: Collection, examples: Iterable[Example]) -> list[Spot]:
    """The windows of the examples that lie on imagery of a collection."""
    found = []
    for example in examples:
        try:
            found.append(spot_of(collection, example))
        except (NotFoundError, QueryError):
            continue
    return found


def _collection_of(
    example: Example, searched: Collection, by_name: Mapping[str, Collection]
) -> Collection:
    if example.collection is None:
        return searched
    try:
        return by_name[example.collection]
    except KeyError:
        raise QueryError(
            "An example names a collection that is not open",
            where=example.collection,
            remedy="Name a collection of this home",
        ) from None


def _chosen(
    placed: Sequence[tuple[Collection, Example]],
) -> Sequence[tuple[Collection, Example]]:
    """At most `MOST_EXAMPLES`, of those on imagery, half of them good if there are enough."""
    if len(placed) <= MOST_EXAMPLES:
        return placed
    covered = _covered(placed)
    if not covered.any():
        return placed[:MOST_EXAMPLES]
    good = np.array([example.good for _, example in placed])
    likes, others = np.flatnonzero(covered & good), np.flatnonzero(covered & ~good)
    half = MOST_EXAMPLES // 2
    most = max(half, MOST_EXAMPLES - len(others))
    likes = evenly(likes, most)
    others = evenly(others, MOST_EXAMPLES - len(likes))
    return [placed[i] for i in np.sort(np.concatenate([likes, others]))]


def _covered(placed: Sequence[tuple[Collection, Example]]) -> np.ndarray:
    """bool (n,): the examples that lie on a scene of their collection."""
    found = np.zeros(len(placed), bool)
    points = np.array([(example.lon, example.lat) for _, example in placed])
    for collection in {id(each): each for each, _ in placed}.values():
        here = np.array([each is collection for each, _ in placed])
        for scene in collection.scenes.values():
            found |= here & antimeridian.contains(scene.footprint, points[:, 0], points[:, 1])
    return found


def _turned(collection: Collection, spot: Spot) -> np.ndarray:
    """float32 (4, 64): an example, turned four ways."""
    # At a scale that its scene has cells of, if it has any.
    scale = best_scale(scales_of(collection, spot.scene) or list(SCALES), spot.size)
    return _passed(spot, scale)


@lru_cache(maxsize=_KEPT)
def _passed(spot: Spot, scale: float) -> np.ndarray:
    return turned_vectors([spot], scale, loader.cells(), basis().steps)[0]


def _upright(collection: Collection, spot: Spot) -> np.ndarray:
    """float32 (1, 64): an example as the cells of its scene have it."""
    available = scales_of(collection, spot.scene)
    if not available:
        return _turned(collection, spot)[:1]
    mapped = open_cells(collection, spot.scene, best_scale(available, spot.size))
    row, col = (np.array([place]) for place in mapped.window_at(spot.col, spot.row))
    if not mapped.inverse[row[0], col[0]]:
        raise no_data(spot.scene)
    return scan.window_vectors(mapped.cells, row, col)


def _examples(
    spots: Sequence[Spot], views: Sequence[np.ndarray], picture: np.ndarray | None
) -> Examples:
    good = [each for spot, each in zip(spots, views, strict=True) if spot.good]
    bad = [each for spot, each in zip(spots, views, strict=True) if not spot.good]
    if picture is not None:
        good.append(vectors_of(framed(picture)[None], loader.cells(), basis().steps)[0])
    shown = 1 if any(len(each) == 1 for each in (*good, *bad)) else 4
    none = np.zeros((0, shown, COMPONENTS), np.float32)
    return Examples(
        *(np.stack([each[:shown] for each in kind]) if kind else none for kind in (good, bad))
    )


def _unusable(refusals: Sequence[LookalikeError]) -> LookalikeError:
    """The error about examples of which none can be used."""
    first = refusals[0]
    if len(refusals) == 1:
        return first
    return type(first)(
        f"None of the {len(refusals):,} examples can be used. {first.what}",
        where=f"the first, {first.where}",
        remedy=first.remedy,
    )

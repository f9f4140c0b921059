"""The queries of the results page, chosen to show where the embedding works and where it fails."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ResultQuery:
    """One query and what it shows.

    Attributes:
        slug: Name of its picture.
        title: What the query shows.
        verdict: The outcome, in one line.
        why: The reason, in a paragraph written after looking at the hits.
        collection: The notebook's variable with the collection that the query is from.
        at: Longitude and latitude of the query.
        searched: Collections that are searched; by default its own.
        picture: Code that makes `picture`, for a query by picture.
    """

    slug: str
    title: str
    verdict: str
    why: str
    collection: str = "bay"
    at: tuple[float, float] = (0.0, 0.0)
    searched: tuple[str, ...] = ()
    picture: str = ""


@dataclass(frozen=True)
class ObjectQuery:
    """One click on a thing in the forest, and what it shows.

    Attributes:
        slug: Name of its picture.
        title: What the query shows.
        verdict: The outcome, in one line.
        why: The reason, in a paragraph written after looking at the hits.
        at: Longitude and latitude of the click.
        size_m: Size of the thing in metres.
    """

    slug: str
    title: str
    verdict: str
    why: str
    at: tuple[float, float]
    size_m: float


OPENING = {
    "title": (
        "# Reverse visual search: what it finds and what it misses\n\n"
        "Two Landsat scenes are cut into chips, embedded by a network that was trained only on "
        "photographs, and searched for places; in a forest at 10 cm, one click on a thing finds "
        "things like it. `make docs` computes everything below from the sample collections with "
        "the current pipeline; the page is the notebook "
        "`docs/reverse_visual_search.ipynb` without its code. The comments on each query were "
        "written after looking at its hits."
    ),
    "set-up": (
        "`make docs` installs everything, fetches and verifies the ImageNet weights, and builds "
        "the collections, the two of Landsat chip by chip (`--mode chip`). A collection holds the "
        "scene, its chips with their embeddings, an index, and the object cells that object search "
        "needs."
    ),
    "scenes": (
        "San Francisco Bay is shown in near-infrared, red and green, as it is stored: vegetation "
        "is red, built-up land pale, water dark blue. The Great Salt Lake is shown in true "
        "colour. Each has one stretch for the whole scene. Neither file has a date."
    ),
    "chips": (
        "Chips are 256 pixels wide, six to eight kilometres on the ground here, and start every "
        "64 pixels, so that each place is near the middle of some chip. Without overlap, about "
        "sixty chips fit into the Bay and about thirty into the Lake. Ten hits that do not "
        "overlap are therefore a good part of each scene, and the last ranks are often merely the "
        "best of what is left. The skipped chips of the Bay are in the open ocean to the "
        "south-west, where the file stores 0, its no-data value, up to the border."
    ),
    "features": (
        "ResNet-50 without its top, averaged over the chip: 2048 numbers, none of them negative, "
        "because a rectifier precedes the average. Two vectors of non-negative numbers are never "
        "opposed, so the cosine of two unrelated chips is far above zero. The percentiles below "
        "are the scale for reading the scores that follow."
    ),
    "queries": (
        "Each picture shows the query, its ten best hits with rank and score (the cosine), and "
        "their locations; the query is framed in cyan. Hits that overlap a better hit or the "
        "query by more than a quarter are suppressed."
    ),
    "objects": (
        "Object search compares windows of 3×3 object cells, far smaller than a chip, and lists "
        "every thing once, at its place ([objects.md](objects.md)). Each picture shows one click, "
        "framed in cyan on the map, and the twenty best hits with rank and score. A score above "
        "0.5 says that a window is more like the example than like the rest of the scene; it is "
        "not a probability."
    ),
}

QUERIES = (
    ResultQuery(
        "reservoirs",
        "Reservoirs in wooded hills",
        "Works well.",
        "All ten hits are wooded hills, and eight of them hold a reservoir, though the reservoirs "
        "differ in shape, size and place within the chip (rank 5 has none, rank 10 a corner of "
        "the Bay). This is what the representation is made for: a texture that fills the chip, "
        "ridges and gullies, and a contrast that photographs are full of, a smooth dark shape "
        "with a branching edge. Averaging over the chip forgets where the water is and keeps the "
        "fact that it is there. The scores fall slowly and stay high, because there are many such "
        "hills.",
        at=(-122.2209, 37.9234),
    ),
    ResultQuery(
        "cliffs",
        "A cliff coast",
        "Works well until the coast runs out.",
        "The first three hits are the rest of the same ocean coast: the headland to the east, the "
        "cliffs to the west, and a bay some twenty-five kilometres south, where the coast runs "
        "north to south instead of across the frame. The fourth has the Bay's shore. Then the "
        "supply of rugged coast is exhausted, and the ranking falls back on what fills most of "
        "the query, the red hills, with a reservoir where the sea was. A mean over the chip "
        "trades a missing part for a better match of the rest, without saying so.",
        at=(-122.5659, 37.8553),
    ),
    ResultQuery(
        "streets",
        "A city of small blocks",
        "Works well.",
        "San Francisco's western grid with its parks finds the neighbouring districts first, "
        "and then the flats of Berkeley, Richmond and San Leandro across the Bay. Nine of ten "
        "hits are mainly dense housing; the eighth, a valley town amid the woods of Marin, is "
        "not. Single streets are barely resolved at this scale. What is recognised is the fine "
        "grey grain, and that is texture, the strong suit of networks trained on ImageNet. That "
        "the best hits also have parks of the same saturated red is not chance: colour counts "
        "too.",
        at=(-122.4796, 37.7599),
    ),
    ResultQuery(
        "bridge",
        "A bridge",
        "Better than its size suggests, but mixed.",
        "The bridge is a line one or two pixels wide in a chip of water. Five of ten hits have a "
        "long bridge in them (ranks 1, 2, 3, 5 and 7): the other end of the same one, and two "
        "other bridges, in different directions. The other five are water with a bit of shore in "
        "a corner. A thin straight line excites the network's edge detectors along its whole "
        "length, which is why so little suffices. But it touches only a few of the feature map's "
        "sixty-four squares, so the corners weigh as much as the bridge.",
        at=(-122.44, 37.94),
    ),
    ResultQuery(
        "salt-ponds",
        "Salt ponds",
        "Finds the others, but not only them.",
        "The query has evaporation ponds at the shore near Hayward. The ponds just north of it "
        "(rank 1) and those inland of it (rank 4) are found; the scene hardly has more. The ranks "
        "between and after them go to other ragged edges between water and pale buildings: "
        "Richmond, South San Francisco, the port of Oakland. A good part of the query is "
        "warehouses, and one vector cannot say which part was meant. A box smaller than the chip, "
        "or several examples, can say what a single click cannot.",
        at=(-122.14, 37.63),
    ),
    ResultQuery(
        "airport",
        "An airport",
        "Fails.",
        "San Francisco's runways reach into the Bay. Rank 2 is Oakland's airport and rank 3 has "
        "the runways of the former air base at Alameda, so the other two airfields are found; but "
        "rank 1 is a row of docks, and ranks 4 to 10 show no runway at all. All ten are a pale "
        "built-up shore with much blue water, and so is most of the query. ImageNet has airliners "
        "and no airports from above: there is no feature for the concept, only for angular pale "
        "shapes at the water. To an analyst these hits are wrong; to the network they look alike.",
        at=(-122.3761, 37.6235),
    ),
    ResultQuery(
        "water",
        "Open water",
        "Correct and worthless.",
        "A query for nothing returns nothing, with great confidence: scores up to 0.99, the "
        "highest on this page. Among chips without structure, sensor noise and a slow change of "
        "colour decide the ranking, and the open ocean, as much water as the Bay, comes only at "
        "0.78 because its blue is darker and faintly striped. The eighth hit has a bridge across "
        "it. A high score says that two chips look alike to the network. It does not say that "
        "there was anything to see.",
        at=(-122.3072, 37.6781),
    ),
    ResultQuery(
        "mountains",
        "Desert mountains",
        "Works well.",
        "Ridges and gullies find ridges and gullies: the rest of the same range (ranks 1 and "
        "5), and at ranks 2, 3 and 8 another range some thirty kilometres away, darker and lit "
        "more harshly. Texture outweighs brightness here. In between come alluvial plains, "
        "whose fine dry channels are the same pattern at a smaller scale, at visibly lower "
        "scores. A threshold of 0.80 would keep the first five, all of them mountains, and lose "
        "rank 8, which is one too.",
        "lake",
        (-112.8056, 40.8675),
    ),
    ResultQuery(
        "evaporation-ponds",
        "Evaporation ponds",
        "Works well, as far as the scene has any.",
        "Bright pans divided by dykes. The other works along the lake are found first, whatever "
        "the colour of their brine: white, turquoise, rust, grey. Ranks 1, 2, 3 and 6 are "
        "mainly pans, ranks 4, 5 and 7 have some at the side. What they share is straight pale "
        "edges between flat patches. At rank 8, where orange ponds are only a part of the chip, "
        "the score is down to 0.58, and after that the scene has no more: the ranking takes "
        "anything with bright flats.",
        "lake",
        (-112.6676, 40.7813),
    ),
    ResultQuery(
        "railway",
        "A motorway and a railway",
        "Fails.",
        "The query was chosen for the two lines that cross it from left to right. The hits were "
        "chosen, by the network, for the ragged border between pale salt flat and brown ground "
        "that fills the rest. The lines are in ranks 1, 3 and 5, at the edge of the frame, "
        "because they run along the same flat. Compare the bridge above: a line on empty water is "
        "all there is to see; a line on busy ground is lost in it.",
        "lake",
        (-112.7711, 40.764),
    ),
    ResultQuery(
        "ponds-both",
        "Evaporation ponds, in both scenes at once",
        "The scene is recognised before the object.",
        "The ponds of the Salt Lake, searched in both collections, the hits merged by score. Nine "
        "of ten come from the Salt Lake itself, among them rank 9 without a pond, before the "
        "first one from the Bay, which is an airport. The Bay's own salt ponds are not in the "
        "list. Sensor, bands and stretch give all chips of a scene a common cast, which weighs "
        "more in the cosine than the object. Scores from one scene are not comparable with scores "
        "from another.",
        "lake",
        (-112.6676, 40.7813),
        ("lake", "bay"),
    ),
    ResultQuery(
        "ponds-across",
        "Evaporation ponds, searched in the Bay alone",
        "Mixed.",
        "The same query, with only the other scene to choose from. The best hits are airports: "
        "pale, flat and divided by straight lines, which is just what made the ponds a good query "
        "in their own scene. The Bay's salt ponds come at rank 4. False colour makes them dark "
        "blue and dark red where the query is white, so they share the dykes but not the "
        "brightness. The order within one scene is useful even across sensors; the scores, all "
        "below 0.6, are not.",
        "lake",
        (-112.6676, 40.7813),
        ("bay",),
    ),
    ResultQuery(
        "mountains-across",
        "Desert mountains, searched in the Bay",
        "Works well, at half the score.",
        "Brown desert ranges find the Bay's coastal hills, which false colour paints bright red. "
        "All ten hits have steep land in them, and it fills all but the eighth, which is a strait "
        "between headlands; none is plain city or open water. So the features do capture shape "
        "apart from colour: ridges under slanting light look like ridges in any palette. But the "
        "best score is 0.53, below the score of more than half of all pairs of the Bay's chips. "
        "Read the order, not the number.",
        "lake",
        (-112.5986, 40.695),
        ("bay",),
    ),
    ResultQuery(
        "turned",
        "The cliff coast, rotated by 90° and given as a picture",
        "Works well.",
        "The chip of the second query, rotated and searched as an uploaded picture would be. The "
        "place itself is rank 1, with 0.93 instead of 1, and most of the same hits follow. The "
        "network never learned that north is arbitrary, but averaging over the chip removes the "
        "layout, and textures of hills survive rotation. Features that depend on direction, such "
        "as shadows, cost the rest.",
        searched=("bay",),
        picture=(
            "chip = bay.chips.row_at(-122.5659, 37.8553)\n"
            "picture = chip_picture(bay, chip, 256).rotate(90)"
        ),
    ),
    ResultQuery(
        "grey",
        "The cliff coast in grey, given as a picture",
        "Finds the place, loses the rest.",
        "The same chip without its colour. The same stretch of coast is still first, but at 0.74, "
        "and the hits behind it get mixed: by rank 7 a city waterfront appears. Colour carries a "
        "good part of the similarity. If the query is a photograph or a screenshot from another "
        "map, match its colours to the collection's first, or expect less.",
        searched=("bay",),
        picture=(
            "chip = bay.chips.row_at(-122.5659, 37.8553)\n"
            'picture = chip_picture(bay, chip, 256).convert("L").convert("RGB")'
        ),
    ),
)

OBJECT_QUERIES = (
    ObjectQuery(
        "dead-tree",
        "A standing dead tree",
        "Works very well.",
        "The tree clicked is a nine-metre starburst of bare branches; it is its own second hit. "
        "The first fourteen are all standing dead or dying trees, in the sun, in the shade and "
        "half behind others, down to small ones that are hard to see on the map at all. Then the "
        "scores drop from 0.94 to 0.87, and branches and trunks on the ground come between the "
        "last ones (15, 16, 18). Bare branches are a texture of their own, whatever their size and "
        "shadow. A minimum score of 0.9 lists just the trees.",
        (-110.643431, 44.963398),
        9.0,
    ),
    ObjectQuery(
        "fallen-trunk",
        "A fallen trunk",
        "Works well.",
        "All twenty hits are trunks or branches on the ground, thick and thin, alone and crossed, "
        "in every direction: the example is turned four ways before it is compared. A trunk is far "
        "longer than the window, so a long one may be found more than once: what counts as one "
        "object is a matter of the size that is chosen.",
        (-110.643076, 44.963197),
        9.0,
    ),
    ObjectQuery(
        "shadow",
        "The shadow of a tree",
        "Works well, and is worth knowing.",
        "Nineteen of the twenty hits are shadows of trees; 12 is a crown half in the shade. The "
        "network learned nothing about light and tells a shadow from its tree without trouble. So "
        "a click on the dark side of a thing looks for its shadow: click the thing itself, and "
        "mark the first shadows as bad.",
        (-110.643129, 44.962514),
        9.0,
    ),
    ObjectQuery(
        "crown",
        "The crown of a living tree",
        "A quarter of it fails.",
        "The crown of a living tree, drawn out by the way in which such pictures are put together. "
        "Fifteen of the twenty hits are crowns, those with the same smear and others; five (3, 8, "
        "9, 18, 20) are meadow, at the same scores. At this size the window holds leaves and "
        "little that bounds them, and leaves are texture as grass is. Marks are the way on: judge "
        "the meadow as bad.",
        (-110.644151, 44.963371),
        5.0,
    ),
)

CLOSING = "\n".join(
    f"- {lesson}"
    for lesson in (
        "It works where the object *is* a texture or fills the chip: hills, housing, coasts, pans.",
        "It fails where the object is a concept (an airport) or a small part of a busy chip (a "
        "railway). Finer imagery, or a query smaller than a chip, helps with the second and not "
        "with the first.",
        "The score ranks within one search. It does not compare across queries or scenes, and it "
        "is highest where there is nothing to see.",
        "Colour and stretch matter about as much as shape. Give all scenes of a collection the "
        "same bands.",
        "Things that are smaller than a chip want object search. It finds what has a look of its "
        "own, and what a click leaves open a few marks decide.",
        "The last ranks of a small scene are what is left, not what is similar. A threshold, set "
        "by eye for each query, is the honest end of a list.",
    )
)

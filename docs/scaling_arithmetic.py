"""The arithmetic of docs/scaling.md: machines, hours, memory and dollars.

    python docs/scaling_arithmetic.py                      the table of the page
    python docs/scaling_arithmetic.py --rate 35 --price 0.4 --hours 12

Rates are measured, prices and machines are assumptions: every one is an option, so that anybody can
put in their own.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCALES = (("a country", 100_000_000), ("Descartes Labs' archive", 2_000_000_000))


@dataclass(frozen=True)
class Inputs:
    """Everything that the tables depend on, with where it comes from.

    Attributes:
        rate: Chips a second of one worker on one core, measured by benchmarks/scaling.py.
        efficiency: Share of that which a worker among many gives, measured from one to two.
        part_bytes: Bytes of a chip in a part, measured on the Bay sample collection.
        index_memory: Bytes of memory a chip takes in an index, measured by benchmarks/index.py.
        index_rate: Chips a second that one head indexes on two cores, measured by the same.
        fetch_rate: Blocks a second that one head fetches and verifies, measured from a folder.
        block: Chips of a block, at stride 128.
        cores: Cores of a build machine; assumed.
        price: Dollars an hour of such a machine; assumed.
        hours: Hours in which embedding shall be done; chosen.
        stride: Pixels between chips; chosen.
        gsd: Metres per pixel; chosen.
        collection: Chips of one collection, which has a head of its own; chosen.
        search_memory: Gigabytes of memory of a search machine, 70 % for the index; assumed.
        search_disk: Gigabytes of its local disk; assumed.
        search_price: Dollars an hour of such a machine; assumed.
        store_price: Dollars a gigabyte and month in the object store; assumed.
    """

    rate: float = 20.0
    efficiency: float = 0.9
    part_bytes: float = 4_170
    index_memory: float = 305
    index_rate: float = 14_700
    fetch_rate: float = 230
    block: float = 64
    cores: float = 16
    price: float = 0.70
    hours: float = 24
    stride: float = 128
    gsd: float = 1.0
    collection: float = 10_000_000
    search_memory: float = 64
    search_disk: float = 1_900
    search_price: float = 0.50
    store_price: float = 0.023


@dataclass(frozen=True)
class Estimate:
    """What a number of chips takes.

    Attributes:
        area: Square kilometres.
        pixels: Terabytes of 8-bit RGB imagery read.
        machine_hours: Of build machines.
        machines: Build machines to embed in the hours asked for.
        build_dollars: For these.
        heads: Collections, each with a head.
        index_hours: To index one collection.
        fetch_hours: For one head to fetch its collection's blocks.
        parts: Terabytes of parts.
        store_dollars: A month for them.
        memory: Gigabytes that all indexes hold in memory.
        vectors: Terabytes of memory-mapped vectors.
        search_machines: To hold both.
        search_dollars: A month for these.
    """

    area: float
    pixels: float
    machine_hours: float
    machines: int
    build_dollars: float
    heads: int
    index_hours: float
    fetch_hours: float
    parts: float
    store_dollars: float
    memory: float
    vectors: float
    search_machines: int
    search_dollars: float

    @classmethod
    def of(cls, chips: float, given: Inputs) -> Estimate:
        """The arithmetic itself."""
        hours = chips / (given.rate * given.efficiency * given.cores) / 3600
        heads = math.ceil(chips / given.collection)
        each = chips / heads
        memory, vectors = chips * given.index_memory / 1e9, chips * 4096 / 1e12
        machines = max(
            math.ceil(memory / (0.7 * given.search_memory)),
            math.ceil(vectors * 1000 / given.search_disk),
        )
        parts = chips * given.part_bytes / 1e12
        return cls(
            area=chips * (given.stride * given.gsd / 1000) ** 2,
            pixels=chips * given.stride**2 * 3 / 1e12,
            machine_hours=hours,
            machines=math.ceil(hours / given.hours),
            build_dollars=hours * given.price,
            heads=heads,
            index_hours=each / given.index_rate / 3600,
            fetch_hours=each / given.block / given.fetch_rate / 3600,
            parts=parts,
            store_dollars=parts * 1000 * given.store_price,
            memory=memory,
            vectors=vectors,
            search_machines=machines,
            search_dollars=machines * 730 * given.search_price,
        )


def table(given: Inputs) -> str:
    """Both scales as Markdown."""
    found = [Estimate.of(chips, given) for _, chips in SCALES]
    rows = {
        "chips": [f"{chips:,}" for _, chips in SCALES],
        f"ground at {given.gsd:g} m a pixel, stride {given.stride:g}": [
            f"{e.area:,.0f} km²" for e in found
        ],
        "imagery read, 8-bit RGB": [f"{e.pixels:,.1f} TB" for e in found],
        f"machine-hours of {given.cores:g} cores": [f"{e.machine_hours:,.0f}" for e in found],
        f"machines to embed it in {given.hours:g} h": [f"{e.machines:,}" for e in found],
        f"embedding, at ${given.price:.2f} a machine-hour": [
            f"${e.build_dollars:,.0f}" for e in found
        ],
        f"collections of {given.collection:,.0f} chips, a head each": [
            f"{e.heads:,}" for e in found
        ],
        "a head fetching its blocks": [f"{e.fetch_hours:,.1f} h" for e in found],
        "a head indexing its collection on two cores": [f"{e.index_hours:,.1f} h" for e in found],
        "parts in the store": [f"{e.parts:,.2f} TB" for e in found],
        f"a month of that, at ${given.store_price:g} a GB": [
            f"${e.store_dollars:,.0f}" for e in found
        ],
        "memory of the indexes": [f"{e.memory:,.0f} GB" for e in found],
        "vectors, memory-mapped": [f"{e.vectors:,.2f} TB" for e in found],
        f"search machines of {given.search_memory:g} GB and {given.search_disk / 1000:g} TB": [
            f"{e.search_machines:,}" for e in found
        ],
        f"a month of these, at ${given.search_price:.2f} an hour": [
            f"${e.search_dollars:,.0f}" for e in found
        ],
    }
    head = ["| | " + " | ".join(name for name, _ in SCALES) + " |", "|---|---|---|"]
    return "\n".join([*head, *(f"| {name} | {' | '.join(row)} |" for name, row in rows.items())])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    told = dict(
        line.strip().split(": ", 1) for line in (Inputs.__doc__ or "").splitlines() if ": " in line
    )
    for name, value in asdict(Inputs()).items():
        option = "--" + name.replace("_", "-")
        meaning = told[name].replace("%", "%%")
        parser.add_argument(
            option, type=float, default=value, help=f"{meaning} (default {value:g})"
        )
    print(table(Inputs(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()

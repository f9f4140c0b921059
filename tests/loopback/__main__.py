"""`python -m tests.loopback FOLDER`: every service at once, for trying the app by hand.

Prints the environment that leads Lookalike to it, then serves until it is stopped.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.loopback.earth_engine import new_york
from tests.loopback.files import Files
from tests.loopback.fixtures import MANHATTAN, Google, environment
from tests.loopback.google import service_account_key
from tests.loopback.images import Grid, geotiff
from tests.loopback.stac import Item, Stac


def everything(folder: Path, port: int = 0, size: int = 700) -> tuple[Google, dict[str, str]]:
    """A Google, a STAC catalogue and OpenAerialMap over the same made-up New York.

    Args:
        folder: For the key and the files.
        port: Where to listen, 0 for any.
        size: Pixels a side of each of the three scenes.

    Returns:
        The server, to be entered, and what to add to the environment once it runs; `{url}` and
        `{host}` in it stand for its address.
    """
    folder.mkdir(parents=True, exist_ok=True)
    catalogue = new_york(size=size)
    items = []
    for assets in catalogue.collections.values():
        for asset in assets:
            name = asset.id.rsplit("/", 1)[-1]
            grid = Grid(asset.crs, asset.transform, *asset.data.shape[:0:-1])
            (folder / f"{name}.tif").write_bytes(geotiff(asset.data, grid, asset.bands))
            day = f"{name[4:8]}-{name[8:10]}-{name[10:12]}"
            items.append(Item(name, f"{name}.tif", day, 5.0))
    files = Files(folder)
    stac = Stac(files, {"sentinel-2-l2a": items, "naip": items, "openaerialmap": items}, page=50)
    server = Google(catalogue, port=port)
    server.services += [stac, files]
    return server, {
        "LOOKALIKE_STAC": "earth-search={url}/stac/v1",
        "LOOKALIKE_OPENAERIALMAP_URL": "{url}",
        "LOOKALIKE_PRIVATE_HOSTS": "{host}",
    }


def filled(server: Google, folder: Path, more: dict[str, str]) -> dict[str, str]:
    """The environment of a running server."""
    own = environment(server, service_account_key(folder / "key.json", server.url))
    host = server.url.removeprefix("http://")
    return own | {name: text.format(url=server.url, host=host) for name, text in more.items()}


if __name__ == "__main__":
    place = Path(sys.argv[1])
    running, extra = everything(place)
    with running:
        for variable, value in filled(running, place, extra).items():
            print(f"export {variable}={value}")
        print("# an area with imagery: --bbox=" + ",".join(map(str, MANHATTAN)), flush=True)
        while True:
            time.sleep(60)

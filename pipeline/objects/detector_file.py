"""Files of detectors: one JSON file each, with a checksum.

What is read is checked under limits, so that a file from elsewhere can be applied without trust.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import DamagedError, NewerError, QueryError
from pipeline.files import check_schema, write_json
from pipeline.model.basis import COMPONENTS
from pipeline.model.cells import CellIdentity
from pipeline.objects.calibration import Calibration
from pipeline.objects.detector import KIND, SCHEMA, Detector, TrainedOn
from pipeline.objects.model import ObjectModel
from pipeline.objects.ranking import Ranking
from pipeline.objects.training import Examples

#: Largest file in bytes.
MAX_BYTES = 10 * 2**20
#: Maximum number of marks and of pictures in a file.
MOST_MARKS, MOST_PICTURES = 5_000, 12
#: Smallest and largest size of a thing in metres, and the largest number of a file.
SIZES, _MOST = (0.01, 1e5), 1e9
#: Longest picture of an example in a file, as base64, and what it looks like: a PNG.
MOST_PICTURE = 12_000
_PICTURE = re.compile(rf"iVBORw0KGgo[A-Za-z0-9+/]{{0,{MOST_PICTURE}}}={{0,2}}")
_REMEDY = "Get the file again from where it was trained, or train anew"


def write(path: Path, detector: Detector) -> None:
    """Write a detector's file, completely or not at all.

    Raises:
        StorageError: If the disk is full or the folder cannot be written.
    """
    content = detector.to_dict()
    write_json(path, {**content, "sha256": _checksum(content)})


def read(source: Path | bytes, *, name: str = "") -> Detector:
    """The detector in a file.

    Args:
        source: The file, or its content.
        name: Its name, for messages about content.

    Raises:
        DamagedError: If it is none, cut short, edited, too large, or holds what no model does.
        NewerError: If a newer version wrote it.
    """
    where = source.name if isinstance(source, Path) else name
    content = _content(source, where)
    try:
        check_schema(content["schema"], SCHEMA, what="This detector", where=where)
        stated = content.pop("sha256")
        if stated != _checksum(content):
            raise _damaged("The detector was edited or damaged", where)
        return _detector(content)
    except NewerError:
        raise
    except DamagedError as error:
        inside = "" if error.where == where else f": {error.where}"
        raise DamagedError(error.what, where=f"{where}{inside}", remedy=_REMEDY) from error
    except (
        AttributeError, LookupError, OverflowError, TypeError, ValueError, QueryError,
    ) as error:  # fmt: skip
        raise _damaged("The detector's file is damaged", where) from error


def _content(source: Path | bytes, where: str) -> dict[str, Any]:
    if isinstance(source, Path):
        try:
            if source.stat().st_size > MAX_BYTES:
                raise _damaged(f"The detector's file is larger than {MAX_BYTES >> 20} MB", where)
            source = source.read_bytes()
        except OSError as error:
            raise _damaged("The detector's file cannot be opened", where) from error
    if len(source) > MAX_BYTES:
        raise _damaged(f"The detector's file is larger than {MAX_BYTES >> 20} MB", where)
    try:
        content = json.loads(source, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _damaged("The detector's file is not JSON, or cut short", where) from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise _damaged("This file is not a detector", where)
    return content


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of a detector")


def _detector(content: Mapping[str, Any]) -> Detector:
    origin, curve = content["origin"], content["calibration"]
    examples = Examples(*(_vectors(content["vectors"][key]) for key in ("good", "bad")))
    ranking = Ranking(
        ObjectModel.from_dict(content["model"]),
        # Rounded as it is written, so that what is read can be read again.
        _number(round(_number(content["object_size"]), 3), *SIZES),
        bool(content["trained"]),
        None
        if curve is None
        else Calibration(
            _number(curve["slope"]),
            _number(curve["offset"], least=-_MOST),
            _count(curve["marks"]),
            _number(curve["accuracy"], least=-1),
        ),
        _count(content["good"]),
        _count(content["bad"]),
        examples.mean if len(examples.good) else None,
    )
    background = np.asarray(content["background"], np.float32)
    if background.shape != (COMPONENTS,) or not np.isfinite(background).all():
        raise ValueError("background")
    marks, pictures = content["marks"], content["pictures"]
    if len(marks) > MOST_MARKS or len(pictures) > MOST_PICTURES:
        raise ValueError("marks")
    if not all(isinstance(each, str) and _PICTURE.fullmatch(each) for each in pictures):
        raise ValueError("pictures")
    return Detector(
        title=_title(content["title"]),
        ranking=ranking,
        cells=CellIdentity.from_dict({key: _plain(each) for key, each in content["cells"].items()}),
        origin=TrainedOn(
            _text(origin["collection"]),
            _number(origin["gsd"]),
            tuple(map(_text, origin["sensors"])),
            tuple(map(_text, origin["dates"])),
        ),
        examples=examples,
        background=background,
        marks=tuple(map(_mark, marks)),
        pictures=tuple(pictures),
        created=_text(content["created"]),
    )


def _mark(given: Mapping[str, Any]) -> dict[str, Any]:
    if given["label"] not in ("good", "bad"):
        raise ValueError(given["label"])
    places = {key: _number(given[key], least=-_MOST) for key in ("lon", "lat")}
    sizes = {key: _number(given[key]) for key in ("width_m", "height_m")}
    return {**places, **sizes, "label": given["label"], "scene": _text(given["scene"])}


def _vectors(values: Any) -> np.ndarray:
    """float32 (n, v, 64)."""
    given = np.asarray(values)
    if not given.size:
        return np.zeros((0, 4, COMPONENTS), np.float32)
    found = given.astype(np.float32)
    if (
        given.dtype.kind not in "iuf"
        or found.ndim != 3
        or found.shape[2] != COMPONENTS
        or not np.isfinite(found).all()
    ):
        raise ValueError("vectors")
    if len(found) > MOST_MARKS:
        raise ValueError("marks")
    return found


def _number(value: Any, least: float = 0.0, most: float = _MOST) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(value)
    if not least < value <= most:  # nor is what is not a number
        raise ValueError(value)
    return float(value)


def _count(value: Any) -> int:
    return int(_number(value, least=-1))


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 500:
        raise TypeError(value)
    value.encode()  # JSON can spell unpaired surrogates, which nothing else can hold
    return value


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, str) else value


def _title(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError("title")
    return str(value)


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(what: str, where: str) -> DamagedError:
    return DamagedError(what, where=where, remedy=_REMEDY)

"""Latitude and longitude parsed from text: decimal degrees, or degrees, minutes and seconds."""

from __future__ import annotations

import re

from pipeline.errors import AreaError

_NUMBER = re.compile(r"[-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_DEGREES = re.compile(
    r"(?P<first>[NSEW])?\s*(?P<d>[-+]?\d+(?:\.\d+)?)\s*(?:°|º|d\b|\s)?\s*"
    r"(?:(?P<m>\d+(?:\.\d+)?)\s*(?:['′’]|m\b|\s)\s*)?"
    r"(?:(?P<s>\d+(?:\.\d+)?)\s*(?:[\"″”]|''|s\b)?\s*)?(?P<last>[NSEW])?",
    re.IGNORECASE,
)


def parse(text: str) -> tuple[float, float]:
    """Parse (latitude, longitude) in degrees; `Area.from_place_text` lists the notations.

    Raises:
        AreaError: If the text is not two angles, or one is out of range.
    """
    remedy = "Write latitude, longitude, such as 37.6, -122.1 or 37°36'N 122°06'W"
    cleaned = text.strip().replace("−", "-")
    linked = re.search(r"(?:^geo:|@)(-?\d+(?:\.\d+)?),\s*(-?\d+(?:\.\d+)?)", cleaned)
    if linked:
        cleaned = f"{linked[1]}, {linked[2]}"
    if re.search(r"[NSEW°º]", cleaned, re.IGNORECASE):
        angles = _parse_lettered(cleaned)
    else:
        values = numbers(cleaned)
        angles = (values[0], values[1]) if len(values) == 2 else None
    if angles is None:
        raise AreaError(
            "This is not a latitude and a longitude", where=text[:80] or "(empty)", remedy=remedy
        )
    lat, lon = angles
    if abs(lat) > 90:
        raise AreaError(
            f"The latitude {lat:g} is outside ±90°",
            where=text[:80],
            remedy="Latitude comes first" if abs(lon) <= 90 else remedy,
        )
    if abs(lon) > 180:
        raise AreaError(f"The longitude {lon:g} is outside ±180°", where=text[:80], remedy=remedy)
    return lat, lon


def _parse_lettered(text: str) -> tuple[float, float] | None:
    """(lat, lon) of two angles with N, S, E, W or degree signs, in either order."""
    halves = re.split(r"[,;]", text)
    if len(halves) != 2:
        after = re.match(r"(.*?[NSEW])\s*(?=[-+\d])(.+)$", text, re.IGNORECASE)
        before = re.match(r"([NSEW].*?)\s*(?=[NSEW])(.+)$", text, re.IGNORECASE)
        signs = re.match(r"(.*?)\s+(?=[-+\d.]+\s*[°º])(.+)$", text)
        cut = (before if re.match(r"[NSEW]", text, re.IGNORECASE) else after) or signs
        if cut is None:
            return None
        halves = [cut[1], cut[2]]
    values: list[float] = []
    letters: list[str] = []
    for half in halves:
        angle = _DEGREES.fullmatch(half.strip())
        if angle is None or (angle["first"] and angle["last"]):
            return None
        minutes, seconds = float(angle["m"] or 0), float(angle["s"] or 0)
        if minutes >= 60 or seconds >= 60:
            return None
        letter = (angle["first"] or angle["last"] or "").upper()
        size = abs(float(angle["d"])) + minutes / 60 + seconds / 3600
        values.append(-size if letter in ("S", "W") or angle["d"].startswith("-") else size)
        letters.append(letter)
    if {*letters[:1]} & {"E", "W"} or {*letters[1:]} & {"N", "S"}:
        values.reverse()
        letters.reverse()
    if letters[0] not in ("", "N", "S") or letters[1] not in ("", "E", "W"):
        return None
    return values[0], values[1]


def numbers(text: str) -> list[float]:
    """Every number in a text, in order."""
    return [float(number.replace("−", "-")) for number in _NUMBER.findall(text)]

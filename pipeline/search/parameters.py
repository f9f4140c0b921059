"""Kinds of search parameter: what a value may be, how it is read, and its JSON schema.

`pipeline.search.recipe` declares the parameters themselves.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipeline.errors import QueryError

LONGEST_TEXT = 200
MOST_IDS = 1_000
#: Marks a parameter that a search can start from.
START = True
_OPTIONAL = "Omit it, or give a number in this range"


class ParameterKind(ABC):
    """What a parameter's values are."""

    @abstractmethod
    def read(self, name: str, value: Any) -> Any:
        """The value of a JSON body, a form or an option, checked.

        Raises:
            QueryError: If it is of another kind or out of range.
        """

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""


@dataclass(frozen=True)
class Parameter:
    """One search parameter.

    Attributes:
        kind: What its values are.
        help: For OpenAPI and the command line; a sentence.
        start: Whether a search can start from it.
        name: In JSON; the command line writes hyphens for underscores.
        default: Its value if it is not given.
    """

    kind: ParameterKind
    help: str
    start: bool = False
    name: str = ""
    default: Any = None

    def read(self, value: Any) -> Any:
        """A value, checked; see `ParameterKind.read`."""
        return self.kind.read(self.name, value)

    def schema(self) -> dict[str, Any]:
        """Its JSON schema, with what it means."""
        default = {} if self.default in (None, ()) else {"default": self.default}
        return {**self.kind.schema(), "description": self.help, **default}


class Text(ParameterKind):
    """A short text, such as an id."""

    def read(self, name: str, value: Any) -> str:
        """As `ParameterKind.read`."""
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            raise _refusal(
                f"{name} must be a short text", value, f"Use at most {LONGEST_TEXT} characters"
            )
        return value

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        return {"type": "string", "maxLength": LONGEST_TEXT}


class Ids(ParameterKind):
    """Several ids: a list, or text with commas; repeated ones count once."""

    def read(self, name: str, value: Any) -> tuple[str, ...]:
        """As `ParameterKind.read`."""
        if isinstance(value, str):
            value = [item.strip() for item in value.split(",") if item.strip()]
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise _refusal(f"{name} must be a list of ids", value, 'For instance ["ID", "ID"]')
        if len(value) > MOST_IDS:
            raise QueryError(
                f"{name} has {len(value)} items, more than {MOST_IDS}", remedy="Give fewer"
            )
        return tuple(dict.fromkeys(value))

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        return {"type": "array", "items": {"type": "string"}, "maxItems": MOST_IDS}


@dataclass(frozen=True)
class Degrees(ParameterKind):
    """Coordinates in EPSG:4326: a list, or text with commas.

    Attributes:
        names: What each number is.
        example: Shown in the message about a wrong value.
    """

    names: tuple[str, ...]
    example: tuple[float, ...]

    def read(self, name: str, value: Any) -> tuple[float, ...]:
        """As `ParameterKind.read`."""
        items = value.split(",") if isinstance(value, str) else value
        try:
            if not isinstance(items, (list, tuple)) or any(isinstance(i, bool) for i in items):
                raise TypeError
            numbers = tuple(float(item) for item in items)
        except (TypeError, ValueError, OverflowError):
            numbers = ()
        if len(numbers) != len(self.names) or not all(map(math.isfinite, numbers)):
            text = ",".join(f"{number:g}" for number in self.example)
            raise _refusal(
                f"{name} must be {len(self.names)} numbers, longitude first",
                value,
                f"For instance {list(self.example)}, in a terminal --{name}={text}",
            )
        return numbers

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        count = len(self.names)
        return {
            "type": "array", "items": {"type": "number"}, "minItems": count, "maxItems": count,
        }  # fmt: skip


@dataclass(frozen=True)
class Whole(ParameterKind):
    """An integer within a range.

    The range is checked when the number is used, so that a missing chip is reported before a `k`
    that is out of range.
    """

    least: int
    most: int

    def read(self, name: str, value: Any) -> int:
        """As `ParameterKind.read`."""
        try:
            if isinstance(value, bool) or float(value) != int(value):
                raise ValueError
            return int(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise _refusal(f"{name} must be a whole number", value, "For instance 10") from error

    def check(self, name: str, value: int) -> None:
        """Raise `QueryError` where a number is out of range."""
        if not self.least <= value <= self.most:
            raise _refusal(
                f"{name} must be between {self.least} and {self.most}", value, "For instance 10"
            )

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True)
class Number(ParameterKind):
    """A finite number of a range."""

    least: float
    most: float = math.inf

    def read(self, name: str, value: Any) -> float:
        """As `ParameterKind.read`."""
        try:
            number = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not self.least <= number <= self.most or number == math.inf:
            span = (
                f"of {self.least:g} or more"
                if self.most == math.inf
                else f"between {self.least:g} and {self.most:,.9g}"
            )
            raise _refusal(f"{name} must be a number {span}", value, _OPTIONAL)
        return number

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        most = {} if self.most == math.inf else {"maximum": self.most}
        return {"type": "number", "minimum": self.least, **most}


@dataclass(frozen=True)
class Flag(ParameterKind):
    """Yes or no.

    Attributes:
        off: Help of the option `--no-NAME`, for a flag that is on by default.
    """

    off: str = ""

    def read(self, name: str, value: Any) -> bool:
        """As `ParameterKind.read`."""
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "1", "false", "0"):
            return str(value).lower() in ("true", "1")
        raise _refusal(f"{name} must be true or false", value, "Leave it out, or give one of these")

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Choice(ParameterKind):
    """One of a few words.

    Attributes:
        words: Those.
    """

    words: tuple[str, ...]

    def read(self, name: str, value: Any) -> str:
        """As `ParameterKind.read`."""
        if value not in self.words:
            raise _refusal(f"Unknown {name}", value, f"Use one of {', '.join(self.words)}")
        return str(value)

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        return {"type": "string", "enum": list(self.words)}


class Day(ParameterKind):
    """A day, ISO 8601; the time of day is dropped."""

    def read(self, name: str, value: Any) -> str:
        """As `ParameterKind.read`."""
        try:
            return date.fromisoformat(str(value)[:10]).isoformat()
        except ValueError as error:
            raise _refusal(f"{name} must be a date", value, "For instance 2016-08-16") from error

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        return {"type": "string", "format": "date"}


class Polygon(ParameterKind):
    """A polygon as GeoJSON, parsed or as text; `Recipe.filters` checks whether it can be used."""

    def read(self, name: str, value: Any) -> dict[str, Any]:
        """As `ParameterKind.read`."""
        given = value
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                value = None
        if not isinstance(value, dict):
            raise _refusal(f"{name} must be GeoJSON", given, "Give a Polygon")
        return value

    def schema(self) -> dict[str, Any]:
        """As `ParameterKind.schema`."""
        return {"type": "object"}


def _refusal(what: str, value: Any, remedy: str) -> QueryError:
    return QueryError(what, where=str(value)[:40], remedy=remedy)

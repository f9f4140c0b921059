"""The header of an index (`index.json`): which collection and model it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DamagedError
from pipeline.files import read_json
from pipeline.index.segment import REBUILD, Parameters
from pipeline.model.identity import ModelIdentity

SCHEMA = 2


@dataclass(frozen=True)
class Header:
    """`index.json`.

    Attributes:
        version: The collection's version.
        model: Model that made the embeddings.
        chips: Rows in the collection.
        parameters: How the largest segment is searched.
        recall_at_10: Share of the ten nearest chips that the self-check found.
        segments: Chips in each segment, including removed ones.
        scann: Version of ScaNN.
    """

    version: str
    model: ModelIdentity
    chips: int
    parameters: Parameters
    recall_at_10: float
    segments: tuple[int, ...]
    scann: str
    schema: int = SCHEMA

    @classmethod
    def read(cls, folder: Path) -> Header:
        """The header in an index's folder.

        Raises:
            DamagedError: If it is missing, damaged or of another version.
        """
        content = read_json(folder / "index.json", what="The index", remedy=REBUILD)
        try:
            if content["schema"] != SCHEMA:
                raise ValueError(f"schema {content['schema']}")
            known = {
                "model": ModelIdentity.from_dict(content["model"]),
                "parameters": Parameters(**content["parameters"]),
                "segments": tuple(content["segments"]),
            }
            header = cls(**{**content, **known})
            if type(header.chips) is not int:
                raise TypeError(f"{header.chips!r} is not a count")
            return header
        except (TypeError, KeyError, ValueError) as error:
            raise DamagedError("The index is damaged", where=folder, remedy=REBUILD) from error

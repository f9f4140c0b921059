"""Following what takes long over REST: how far it is under the id that the client gave it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import Field

from pipeline.objects import under_way
from pipeline.progress import Progress
from pipeline.web.responses import Answer

#: Ids of what is followed.
KEY = r"^[A-Za-z0-9_-]{8,64}$"
ProgressId = Annotated[str, Path(pattern=KEY, description="The id that the request was sent with.")]


class ProgressAnswer(Answer):
    """How far something is."""

    stage: str = Field(description="What is being done; empty before and after it.")
    done: int = Field(description="Units of the stage that are finished.")
    total: int = Field(description="Units of the stage; 0 while unknown.")
    unit: str = Field(description="What is counted.")
    note: str

    @classmethod
    def of(cls, key: str) -> ProgressAnswer:
        """How far what was sent under an id is."""
        return cls(**vars(under_way.progress_of(key) or Progress("", 0, 0, "")))

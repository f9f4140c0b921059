"""The requests of the sample collections."""

from __future__ import annotations

from pipeline.build.request import BuildRequest
from pipeline.imagery.ingest import SceneInput
from pipeline.sources.sample import samples


def sample_requests() -> list[BuildRequest]:
    """The requests of the sample collections whose imagery is here."""
    return [
        BuildRequest(
            name=name,
            title=sample.title,
            description=sample.description,
            stride=sample.stride,
            object_size=sample.object_size,
            scenes=(
                SceneInput(
                    sample.path,
                    bands=sample.bands,
                    title=sample.scene_title,
                    source="sample",
                    license=sample.credit,
                    percentile=sample.percentile,
                ),
            ),
        )
        for name, sample in samples().items()
    ]

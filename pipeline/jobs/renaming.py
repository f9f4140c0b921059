"""Renaming a collection: its folder, and what its links say from then on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import StorageError

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.collection.library import Library
    from pipeline.jobs.queue import Jobs


def rename(library: Library, jobs: Jobs, name: str, new_name: str) -> Collection:
    """Give a collection another name, as `Store.rename` does, unless a build of it waits.

    That build would make a second collection of the old name.

    Raises:
        NotFoundError: If there is no such collection.
        QueryError: If the new name cannot be used or is taken.
        StorageError: If a build of it runs or waits.
    """
    library.open(name)
    if any(job.collection == name for job in jobs.queue()):
        raise StorageError(
            "A build of this collection is queued",
            where=name,
            remedy="Wait for it to end, or cancel it",
        )
    return library.rename(name, new_name)

"""Re-ranking: the chips nearest to a query with marks, in the order that the marks give them.

`pipeline.search.feedback` computes that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.search import feedback
from pipeline.search.filters import eligible_chips

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index
    from pipeline.search.filters import Filters
    from pipeline.search.queries import Query


def rerank(
    collection: Collection, index: Index, query: Query, filters: Filters | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and cosines of the nearest chips, ordered by the marks; none without marks."""
    if query.marks is None:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    own = query.rows_in(collection.chips)
    among = eligible_chips(collection.chips, filters, query.corners) if filters else None
    reach = min(feedback.CANDIDATES + len(own), len(index))
    rows, scores = query.best(index, reach, among)
    keep = np.flatnonzero(~np.isin(rows, own))[: feedback.CANDIDATES]
    rows, scores = rows[keep], scores[keep]
    order = feedback.rank(index.vectors, rows, query.marks)
    return rows[order], scores[order]

"""What the pipeline's embeddings are measured against: Keras's own ResNet-50."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.model.weights.cache import Weights


def keras_model(weights: Weights, *, top: bool = False) -> Any:
    """`keras.applications.ResNet50` with these weights: average pool, or its classifier."""
    import keras

    model = keras.applications.ResNet50(
        include_top=top,
        weights=None,
        pooling=None if top else "avg",
        input_shape=(224, 224, 3) if top else (None, None, 3),
    )
    for layer in model.layers:
        values = [weights.tensors[f"{layer.name}/{one.name}"] for one in layer.weights]
        if values:
            layer.set_weights(values)
    return model

"""A small Stream model: it has every kind of state that the official ones have (a buffer of the last frames, a running
sum, a frame counter), and its outputs can be computed by hand."""

from __future__ import annotations

import pathlib
from typing import Any


def tiny_model(folder: pathlib.Path, image_frames: int | None = None) -> None:
    """Names unlike MoViNet's; logits = (mean colour so far) + (colour two frames ago) * (frames so far)."""
    import tensorflow as tf

    class Tiny(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = tf.Variable([1.0, 2.0, 3.0])

        @tf.function(input_signature=[tf.TensorSpec([5], tf.int32, name="like")])
        def begin(self, like: Any) -> dict[str, Any]:
            size = tf.math.floordiv(like[2], 2)
            return {
                "last": tf.zeros(tf.stack([like[0], 2, size, size, 3])),
                "sum": tf.zeros(tf.stack([like[0], 3])),
                "count": tf.zeros([1], tf.int32),
            }

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, image_frames, None, None, 3], tf.float32, name="pictures"),
                tf.TensorSpec([None, 2, None, None, 3], tf.float32, name="last"),
                tf.TensorSpec([None, 3], tf.float32, name="sum"),
                tf.TensorSpec([1], tf.int32, name="count"),
            ]
        )
        def step(self, pictures: Any, last: Any, sum: Any, count: Any) -> dict[str, Any]:
            seen = tf.concat([last, pictures[:, :, ::2, ::2]], axis=1)
            frames = tf.shape(pictures)[1]
            sum = sum + tf.reduce_sum(tf.reduce_mean(seen[:, 2:], axis=[2, 3]), axis=1)
            count = count + frames
            ago = tf.reduce_mean(seen[:, -3], axis=[1, 2])
            logits = (sum / tf.cast(count, tf.float32) + ago * tf.cast(count, tf.float32)) * self.scale
            return {"answer": logits, "last": seen[:, -2:], "sum": sum, "count": count}

    model = Tiny()
    tf.saved_model.save(model, str(folder), signatures={"begin": model.begin, "step": model.step})


def ring_model(folder: pathlib.Path) -> None:
    """A state whose size is the preset's number of frames: it holds the last colours, and logits are their sum."""
    import tensorflow as tf

    class Ring(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([5], tf.int32, name="like")])
        def begin(self, like: Any) -> dict[str, Any]:
            return {"ring": tf.zeros(tf.stack([like[0], like[1], 3]))}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None, None, None, 3], tf.float32, name="pictures"),
                tf.TensorSpec([None, None, 3], tf.float32, name="ring"),
            ]
        )
        def step(self, pictures: Any, ring: Any) -> dict[str, Any]:
            length = tf.shape(ring)[1]
            ring = tf.concat([ring, tf.reduce_mean(pictures, axis=[2, 3])], axis=1)[:, -length:]
            return {"answer": tf.reduce_sum(ring, axis=1), "ring": ring}

    model = Ring()
    tf.saved_model.save(model, str(folder), signatures={"begin": model.begin, "step": model.step})


def dense_model(folder: pathlib.Path, compiled_apart: bool) -> None:
    """A dense layer after the mean colour so far, as a function that is to be compiled by itself, or not."""
    import tensorflow as tf

    class Dense(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
            self.bias = tf.Variable([0.5, 0.25])

        @tf.function(input_signature=[tf.TensorSpec([5], tf.int32, name="like")])
        def begin(self, like: Any) -> dict[str, Any]:
            return {"sum": tf.zeros(tf.stack([like[0], 3])), "count": tf.zeros([1], tf.int32)}

        @tf.function(
            input_signature=[
                tf.TensorSpec([None, None, None, None, 3], tf.float32, name="pictures"),
                tf.TensorSpec([None, 3], tf.float32, name="sum"),
                tf.TensorSpec([1], tf.int32, name="count"),
            ]
        )
        def step(self, pictures: Any, sum: Any, count: Any) -> dict[str, Any]:
            answer, sum, count = self.predict(pictures, sum, count)
            return {"answer": answer, "sum": sum, "count": count}

        @tf.function(jit_compile=compiled_apart)
        def predict(self, pictures: Any, sum: Any, count: Any) -> Any:
            sum = sum + tf.reduce_sum(tf.reduce_mean(pictures, axis=[2, 3]), axis=1)
            count = count + tf.shape(pictures)[1]
            return tf.matmul(sum / tf.cast(count, tf.float32), self.weights) + self.bias, sum, count

    model = Dense()
    tf.saved_model.save(model, str(folder), signatures={"begin": model.begin, "step": model.step})

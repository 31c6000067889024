"""TensorFlow's Philox on the CPU: its stateless operation, mapped over the pairs."""

import numpy as np
import tensorflow as tf

PHILOX = 1  # tf.random.Algorithm.PHILOX


def _block(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    counter, key = pair
    return tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[4], key=key, counter=counter, alg=PHILOX, dtype=tf.uint32
    )


@tf.function(autograph=False)
def _blocks(counters: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    return tf.map_fn(_block, (counters, keys), fn_output_signature=tf.TensorSpec([4], tf.uint32))


def words(counters: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """The four words of each (counter, key): (n, 4) and (n, 2) uint32 to (n, 4) uint32."""
    # Pairs of words are one uint64 each, the lower word first.
    return _blocks(counters.view("<u8"), keys.view("<u8")).numpy()

import jax.numpy as jnp
import numpy as np
import tiny

from jcompress import encoded
from jcompress.experiments import evaluation, sources

TASK = tiny.task()._replace(
  predict=lambda variables, batch: variables['params'] * batch['x'],
  metrics=lambda outputs, batch: {'mean': (outputs.sum(), len(batch['x']))},
)
SOURCE = sources.in_order({'x': np.arange(10.0, dtype=np.float32)}, 4)


def test_batches_count_by_their_size():
  found = evaluation.evaluate(TASK, {'params': jnp.float32(2)}, SOURCE)
  assert found == {'mean': 9}


def test_fewer_batches_may_be_taken():
  found = evaluation.evaluate(TASK, {'params': 1.0}, SOURCE, steps=2)
  assert found == {'mean': 3.5}


def test_bits_are_of_what_is_shipped_over_all_weights():
  shipped = {
    'a': encoded.Signs(jnp.ones((3, 4), bool), jnp.float32(2)),
    'b': encoded.Dense(jnp.ones(4)),
  }
  variables = {'params': encoded.decode(shipped)}
  assert evaluation.bits_of(shipped, variables) == {
    'bits': (12 + 32 + 128) / 16
  }
  assert evaluation.bits_of(None, variables) == {}

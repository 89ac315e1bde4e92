"""The table of every compressor; a method that is not in it does not exist."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

import jcompress as jc
from jcompress import tree


class Entry(NamedTuple):
  comp: jc.Compressor  # of all leaves it is given
  keeps_zeros: str = ''  # or why exact zeros do not stay zero
  structural: bool = False  # keeps the weights in another form than params
  hardens: str = ''  # or why what is shipped is not what the model saw


def params(dtype=jnp.float32):
  """A small network whose kernels have some exact zeros."""
  keys = jax.random.split(jax.random.key(0), 2)
  kernel = lambda key, shape: jnp.where(
    jnp.arange(shape[1]) % 3 == 1, 0, jax.random.normal(key, shape)
  ).astype(dtype)
  return {
    'fc0': {'kernel': kernel(keys[0], (8, 6)), 'bias': jnp.zeros(6, dtype)},
    'fc1': {'kernel': kernel(keys[1], (6, 4)), 'bias': jnp.ones(4, dtype)},
  }


def kernels(dtype=jnp.float32):
  return tree.split(jc.KERNELS, params(dtype))[0]


def checkerboard(like):
  """A mask of every other weight."""
  return jax.tree.map(lambda w: jnp.indices(w.shape).sum(0) % 2 == 0, like)


def table(like):
  """Every compressor, for params of the structure and shapes of `like`."""
  mask = checkerboard(like)
  cubic = jc.schedules.cubic_sparsity(0.7, begin=0, end=4)
  return {
    'identity': Entry(jc.identity(), 'the dense baseline moves every weight'),
    'magnitude': Entry(jc.magnitude_prune(0.5, every=2)),
    'magnitude_schedule': Entry(jc.magnitude_prune(cubic)),
    'magnitude_global': Entry(jc.magnitude_prune(0.5, scope='global')),
    'magnitude_quality': Entry(jc.magnitude_prune(quality=0.8)),
    'magnitude_rewind': Entry(jc.magnitude_prune(0.5, every=2, rewind=True)),
    'mask': Entry(jc.with_mask(mask)),
    'surgery': Entry(jc.dynamic_surgery(0.5, every=2)),
    'surgery_quality': Entry(jc.dynamic_surgery(quality=0.1, probability=0.5)),
    'kmeans': Entry(jc.kmeans_share(k=3), structural=True),
    'kmeans_mask': Entry(
      jc.chain(jc.kmeans_share(bits=2), jc.with_mask(mask)), structural=True
    ),
    'surgery_mask': Entry(
      jc.chain(jc.dynamic_surgery(0.3), jc.with_mask(mask))
    ),
  }


NAMES = list(table({}))

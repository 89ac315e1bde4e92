import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jcompress as jc
from jcompress.prune.sensitivity import Pruned, Scan

GRID = (0.25, 0.5, 0.75, 1.0)


def scan_of(*curves, size=8):
  """A scan of layers of one size: the loss at no sparsity and at each."""
  names = [f'layer{i}' for i in range(len(curves))]
  row = lambda name, s, loss: Pruned(
    name, size, s, size - round(s * size), loss, {}
  )
  return Scan(
    tuple(row(n, 0.0, c[0]) for n, c in zip(names, curves, strict=True)),
    tuple(
      row(n, s, x)
      for n, c in zip(names, curves, strict=True)
      for s, x in zip(GRID, c[1:], strict=True)
    ),
  )


def test_layers_that_suffer_less_are_pruned_more():
  scan = scan_of([1, 1.1, 1.2, 1.3, 9], [1, 2, 3, 4, 5])
  assert jc.allocate(scan, 0.375) == {'layer0': 0.75, 'layer1': 0.0}
  assert jc.allocate(scan, 0.5) == {'layer0': 0.75, 'layer1': 0.25}
  assert jc.allocate(scan, 1.0) == {'layer0': 1.0, 'layer1': 1.0}


def test_no_choice_of_the_grid_is_better():
  rng = np.random.default_rng(0)
  for _ in range(20):
    # Convex curves, of which the best choice is on the hulls.
    rises = np.sort(rng.random((3, 4)), axis=1)
    curves = np.concatenate([np.zeros((3, 1)), rises.cumsum(1)], 1)
    for quarters in range(13):
      found = jc.allocate(scan_of(*curves.tolist()), quarters / 12)
      places = [round(4 * s) for s in found.values()]
      got = sum(c[i] for c, i in zip(curves, places, strict=True))
      best = min(
        sum(c[i] for c, i in zip(curves, choice, strict=True))
        for choice in itertools.product(range(5), repeat=3)
        if sum(choice) == quarters
      )
      np.testing.assert_allclose(got, best)


def test_corners_above_the_hull_are_skipped_and_gains_come_first():
  bump = scan_of([1, 5, 1.1, 1.2, 9], [1, 1.5, 2, 2.5, 3])
  assert jc.allocate(bump, 0.25) == {'layer0': 0.5, 'layer1': 0.0}
  gain = scan_of([1, 2, 3, 4, 5], [1, 0.5, 3, 9, 9])
  assert jc.allocate(gain, 0.125) == {'layer0': 0.0, 'layer1': 0.25}


def test_the_budget_is_met_to_the_weight():
  scan = scan_of([0, 1, 2, 4, 8], [0, 3, 9, 27, 81])
  for wanted in range(17):
    found = jc.allocate(scan, wanted / 16)
    assert sum(round(8 * s) for s in found.values()) == wanted


def test_partition_prunes_what_was_allocated():
  keys = jax.random.split(jax.random.key(0), 2)
  params = {
    'fc.1': {'kernel': jax.random.normal(keys[0], (7, 5))},
    'fc.2': {'kernel': 3 * jax.random.normal(keys[1], (5, 4))},
  }
  loss_fn = lambda w: -sum(jnp.abs(x).sum() for x in jax.tree.leaves(w))
  found = jc.allocate(jc.sensitivity(loss_fn, params, GRID), 0.6)
  assert found['fc.1/kernel'] > 0.6 > found['fc.2/kernel']
  comp = jc.partition(
    *((re.escape(p), jc.magnitude_prune(s)) for p, s in found.items())
  )

  @jax.jit
  def pruned(params):
    latent, state = comp.init(params)
    return comp.view(*comp.update(latent, state, latent))

  view = pruned(params)
  assert sum((x == 0).sum() for x in jax.tree.leaves(view)) == round(0.6 * 55)


def test_what_cannot_be_met_is_refused_with_numbers():
  scan = scan_of([0, 1, 2, 4, np.nan], [0, 3, 9, 27, np.inf])
  with pytest.raises(ValueError, match=r'13 of 16 .* up to 12 \(0.75 of all'):
    jc.allocate(scan, 0.8)
  (row, *rest), rows = scan.dense, scan.rows
  half = Scan((row._replace(kept=4), *rest), rows)
  assert jc.allocate(half, 0.25) == {'layer0': 0.5, 'layer1': 0.0}
  with pytest.raises(ValueError, match='4 are zero already'):
    jc.allocate(half, 0.1)
  with pytest.raises(ValueError, match='loss before pruning is nan'):
    jc.allocate(scan_of([np.nan, 1, 1, 1, 1]), 0.1)

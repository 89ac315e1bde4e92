import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given

from jcompress.prune.regrowth import largest_among, random_masks

entries = st.tuples(st.sampled_from([0.0, 0.5, 1.0, 3.0]), st.booleans())
padded = 12
largest = jax.jit(largest_among)


@given(st.lists(entries, max_size=padded), st.integers(0, 2 * padded))
def test_chooses_the_largest_of_those_allowed(values, keep):
  values = values + [(9.0, False)] * (padded - len(values))
  scores, among = (np.array(v) for v in zip(*values, strict=True))
  got = largest(jnp.asarray(scores, jnp.float32), among, keep)
  order = np.argsort(-scores, kind='stable')
  best = [i for i in order if among[i]][:keep]
  np.testing.assert_array_equal(np.flatnonzero(got), np.sort(best))


def draw(params, sparsity, zeros_grow=False, seed=0):
  return random_masks(
    params, sparsity, 'uniform', zeros_grow=zeros_grow, seed=seed
  )


def test_draws_exactly_as_many_as_the_density_says():
  w = jnp.ones((30, 30))
  masks = [draw([w, w], 0.75, seed=seed)[0] for seed in (0, 1)]
  for mask in jax.tree.leaves(masks):
    assert mask.sum() == 225
  assert (masks[0][0] != masks[0][1]).any(), 'each array has its own draw'
  assert (masks[0][0] != masks[1][0]).any(), 'each seed has its own draw'


def test_zeros_are_active_last_or_never():
  w = jnp.where(jnp.arange(100) % 4 == 0, 1.0, 0.0)
  for density in (0.1, 0.25, 0.5):
    mask, live = draw(w, 1 - density)
    assert mask.sum() == min(25, 100 * density)
    assert not mask[w == 0].any() and (live == (w != 0)).all()
    mask, live = draw(w, 1 - density, zeros_grow=True)
    assert mask.sum() == 100 * density and live.all()
    assert mask[w != 0].sum() == min(25, 100 * density)

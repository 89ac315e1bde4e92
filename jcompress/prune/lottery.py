"""Lottery tickets: prune what was trained, then train it from its start."""

from typing import Any

import jax
import jax.numpy as jnp

from jcompress.mask import require_masks_fit
from jcompress.numerics.counts import count_dtype, counting, nearest_share
from jcompress.prune.regrowth import largest_among


def ticket_mask(
  trained: Any, mask: Any, fraction: float = 0.2, *, scope: str = 'global'
) -> Any:
  """Prunes a fraction of the surviving weights by their trained magnitude.

  One round of iterative magnitude pruning. What makes it a lottery ticket is
  the loop around it, in which weights, optimizer and schedules begin again:

      chosen = tree.split(KERNELS, start)[0]
      mask = jax.tree.map(lambda w: w != 0, chosen)
      for _ in range(rounds):
        comp = select(KERNELS, with_mask(mask))
        ts = init_train_state(comp, tx, start)
        ...  # train
        trained = comp.view(ts.latent, ts.state)
        mask = ticket_mask(tree.split(KERNELS, trained)[0], mask)

  `start` are the params at initialization, or those after a few steps of dense
  training (rewinding); `init_train_state` makes a new optimizer state, and with
  it the schedules start over. Train under the last mask once more. A ticket is
  worth something only against the same mask on another initialization, and
  against a random mask of the same densities.

  `magnitude_prune(rewind=True)` sets back the weights alone, within one run.

  Args:
    trained: tree of weights, at the end of a round.
    mask: tree of booleans like it, true where the weight has survived so far.
    fraction: of the survivors to prune, to the nearest whole number, `0 .. 1`;
      among equal ones the last.
    scope: `'global'` ranks all arrays together, `'layer'` each by itself. The
      paper does the latter on MNIST and leaves the output layer out.

  Returns:
    The new mask, for `with_mask`.

  Raises:
    ValueError: a fraction out of range, another scope, or a mask that does not
      fit.

  >>> ticket_mask(jnp.array([0.1, -3, 2, 0.5, 9]), jnp.arange(5) < 4, 0.5)
  Array([False,  True,  True, False, False], dtype=bool)

  References:
    Frankle & Carbin, The Lottery Ticket Hypothesis: Finding Sparse, Trainable
    Neural Networks, 2019, arXiv 1803.03635, section 1.
    Frankle et al., Linear Mode Connectivity and the Lottery Ticket Hypothesis,
    2020, arXiv 1912.05671 (rewinding).
  """
  if not 0 <= fraction <= 1:
    raise ValueError(f'fraction is {fraction}; it must lie in 0 .. 1.')
  if scope not in ('layer', 'global'):
    raise ValueError(f"scope is {scope!r}; it must be 'layer' or 'global'.")
  require_masks_fit(mask, trained)

  def survivors(w, mask):
    leaves, size = jax.tree.leaves(mask), jax.tree.map(jnp.abs, w)
    total = sum(m.size for m in leaves)
    with counting(total):
      dtype = count_dtype(total)
      count = sum(jnp.sum(m, dtype=dtype) for m in leaves)
      keep = count - nearest_share(fraction, count)
      return largest_among(size, mask, keep)

  if scope == 'global':
    return jax.jit(survivors)(trained, mask)
  return jax.tree.map(jax.jit(survivors), trained, mask)

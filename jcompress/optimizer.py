"""Starts an optimizer of the params on what stands for them."""

from typing import Any

import optax

from jcompress import tree
from jcompress.base import Parts, is_leaf


def start_optimizer(
  tx: optax.GradientTransformation | optax.MultiSteps, latent: Any, params: Any
) -> Any:
  """`tx.init(latent)`, and where that fails a word on the form of the latent.

  Raises:
    ValueError: the optimizer refuses the latent, whose form is not that of the
      params.
  """
  try:
    return tx.init(latent)
  except Exception as e:
    places = latent.leaves if isinstance(latent, Parts) else latent
    have = tree.paths(places, is_leaf)
    wanted = tree.paths(tree.split_floats(params)[0])
    missing = [path for path in wanted if path not in have]
    if not missing:
      raise
    raise ValueError(
      f'The optimizer does not take the latent: {e} A mask or labels of the '
      'form of the params do not fit here, since one latent stands for '
      f'{", ".join(missing)} together. Make them from the latent, by a '
      'function, or leave these leaves to a method with a latent for each.'
    ) from e

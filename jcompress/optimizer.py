"""Starts an optimizer of the params on what stands for them."""

from typing import Any

import jax
import optax

from jcompress import tree
from jcompress.base import Compressor, Parts, is_leaf


def require_optimizer(given: Any, where: str) -> None:
  """Raises a `ValueError` unless an optimizer was given."""
  has_both = hasattr(given, 'init') and hasattr(given, 'update')
  if not has_both or isinstance(given, Compressor):
    raise ValueError(
      f'{where} takes an optimizer such as optax.adam(1e-3), and was given '
      f'{given!r:.60} of type {type(given).__name__}.'
    )


def require_same_optimizer(
  tx: optax.GradientTransformation | optax.MultiSteps,
  latent: Any,
  opt_state: Any,
) -> None:
  """Raises a `ValueError` if an optimizer makes a state of another form."""
  made: Any = jax.tree.structure(jax.eval_shape(tx.init, latent))
  given: Any = jax.tree.structure(opt_state)
  if made != given:
    raise ValueError(
      'The optimizer is not the one with which the train state was made: its '
      f'state would be {made}, and the train state has {given}. Give '
      'init_train_state and train_step the same compressor and optimizer.'
    )


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

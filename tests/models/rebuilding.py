"""What holds of each model that is built anew with other widths."""

import re

import jax
import numpy as np

from jcompress import channel_groups, remove_channels, tree
from jcompress.channels.removal import channel_widths
from jcompress.channels.shrink import verify_rebuilt


def shapes(model, x):
  return jax.eval_shape(model.init, jax.random.key(0), x)


def draw(forms):
  """Random numbers, with nothing at zero or one, and positive variances."""
  rng = np.random.default_rng(0)
  leaves, structure = jax.tree.flatten(forms)
  values = [
    np.asarray(rng.normal(size=x.shape) / max(1, x.size / x.shape[-1]) ** 0.5)
    for x in leaves
  ]
  return structure.unflatten(
    np.asarray(abs(v) + 0.5 if path.endswith('var') else v, x.dtype)
    for path, v, x in zip(tree.paths(forms), values, leaves, strict=True)
  )


def kernels(model, x):
  """Paths of kernels, and the last parts of all other paths."""
  paths = tree.paths(shapes(model, x))
  found = [path for path in paths if re.fullmatch(tree.KERNELS, path)]
  others = {path.rpartition('/')[2] for path in paths if path not in found}
  names = [
    path.removeprefix('params/').removesuffix('/kernel') for path in found
  ]
  return set(names), others


def remove_half(model, x):
  """Removes half of the units of each group; gives the rebuilt model.

  It takes the small params, and computes what the masked network does.
  """
  variables = draw(shapes(model, x))
  graph = channel_groups(model.apply, variables, x)
  assert graph.groups and not graph.unknown
  rng = np.random.default_rng(1)
  plan = graph.plan(
    {
      name: rng.permutation(group.size)[: (group.size + 1) // 2]
      for name, group in graph.groups.items()
    }
  )
  small = remove_channels(variables, plan)
  rebuilt = model.clone(widths=channel_widths(plan))
  form = lambda params: jax.tree.map(np.shape, params)
  assert form(shapes(rebuilt, x)) == form(small)
  verify_rebuilt(rebuilt.apply, small, plan, x)
  return rebuilt, small

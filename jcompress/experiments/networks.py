"""Flax linen, Flax nnx and plain functions as one kind of network."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jcompress import models

Variables = dict[str, Any]
Inputs = Callable[[Any], tuple[Any, ...]]

RNGS = 'dropout', 'binarize'


class Network(NamedTuple):
  """What a model computes, as pure functions of its variables.

  Variables are a dict of `'params'`, which are trained, and of other
  collections, such as `'batch_stats'`, which training returns anew.

  Attributes:
    init: `(key, batch) -> variables`.
    apply: `(variables, batch, key) -> (outputs, new collections)`, in training.
    predict: `(variables, batch) -> outputs`, in evaluation.
    model: how to build it again, of a bundled model.
  """

  init: Callable[[jax.Array, Any], Variables]
  apply: Callable[[Variables, Any, jax.Array], tuple[Any, Variables]]
  predict: Callable[[Variables, Any], Any]
  model: models.Model | None = None


def linen(
  module: nn.Module, inputs: Inputs, rngs: Sequence[str] = RNGS
) -> Network:
  """A Flax linen module.

  Whatever collections it has beside `'params'` are mutable in training. Where
  its `__call__` takes `train`, that says which of the two it is.

  Args:
    module: the model.
    inputs: `batch -> arguments` of its `__call__`.
    rngs: names of the streams of random numbers that training may draw from.
  """
  takes_train = 'train' in inspect.signature(module.__call__).parameters
  mode = lambda train: {'train': train} if takes_train else {}

  def init(key, batch):
    return dict(module.init(key, *inputs(_few(batch)), **mode(False)))

  def apply(variables, batch, key):
    others = [name for name in variables if name != 'params']
    keys = dict(zip(rngs, jax.random.split(key, len(rngs)), strict=True))
    return module.apply(
      variables, *inputs(batch), **mode(True), mutable=others, rngs=keys
    )

  def predict(variables, batch):
    return module.apply(variables, *inputs(batch), **mode(False))

  return Network(init, apply, predict, models.describe(module))


def nnx_network(
  make: Callable[[nnx.Rngs], nnx.Module], inputs: Inputs
) -> Network:
  """A Flax nnx module.

  Its `nnx.Param` are the params, all other variables the collection `'state'`,
  but for random streams, which get a new key in each step.

  Args:
    make: builds the module: `lambda rngs: Net(rngs=rngs)`.
    inputs: `batch -> arguments` of its `__call__`.
  """
  form = nnx.eval_shape(lambda: make(nnx.Rngs(0)))
  graph, *forms = nnx.split(form, nnx.Param, nnx.RngState, ...)

  def init(key, batch):
    del batch
    module = make(nnx.Rngs(key))
    _, params, _, others = nnx.split(module, nnx.Param, nnx.RngState, ...)
    return _pure(params, others)

  def run(variables, batch, key, mode):
    pure = variables['params'], variables.get('state', {})
    params, others = map(_filled, (forms[0], forms[2]), pure)
    module = nnx.merge(
      graph, params, _streams(forms[1], key), others, copy=True
    )
    getattr(module, mode)()
    outputs = module(*inputs(batch))
    _, params, _, others = nnx.split(module, nnx.Param, nnx.RngState, ...)
    return outputs, _pure(params, others)

  def apply(variables, batch, key):
    outputs, new = run(variables, batch, key, 'train')
    return outputs, {k: v for k, v in new.items() if k != 'params'}

  def predict(variables, batch):
    return run(variables, batch, jax.random.key(0), 'eval')[0]

  return Network(init, apply, predict)


def plain(
  init: Callable[[jax.Array], Any],
  apply: Callable[..., Any],
  inputs: Inputs,
) -> Network:
  """A function of params without other collections.

  Args:
    init: `key -> params`.
    apply: `(params, *inputs) -> outputs`.
    inputs: `batch -> inputs`.
  """
  predict = lambda variables, batch: apply(variables['params'], *inputs(batch))
  return Network(
    lambda key, batch: {'params': init(key)},
    lambda variables, batch, key: (predict(variables, batch), {}),
    predict,
  )


def are_equal(a: Variables, b: Variables) -> bool:
  """Whether two networks have the same arrays at the same places."""
  if jax.tree.structure(a) != jax.tree.structure(b):
    return False
  return jax.tree.all(jax.tree.map(np.array_equal, a, b))


def _few(batch):
  return jax.tree.map(lambda x: x[:1], batch)


def _pure(params, others):
  pure = {'params': nnx.to_pure_dict(params)}
  state = nnx.to_pure_dict(others)
  return pure | ({'state': state} if state else {})


def _filled(form, pure):
  state = jax.tree.map(lambda x: x, form)
  nnx.replace_by_pure_dict(state, pure)
  return state


def _streams(form, key):
  """Random streams that begin with a key of this step."""
  leaves, treedef = jax.tree.flatten(form)
  is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
  return treedef.unflatten(
    jax.random.fold_in(key, i) if is_key(x) else jnp.zeros(x.shape, x.dtype)
    for i, x in enumerate(leaves)
  )

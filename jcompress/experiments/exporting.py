"""Networks as files of StableHLO, which run without this package."""

from typing import Any

import jax
import numpy as np

import jcompress as jc
from jcompress import encoded
from jcompress.experiments import sources
from jcompress.experiments.task import Task
from jcompress.traced import jaxprs

PLATFORMS = ('cpu', 'cuda', 'tpu')


def stablehlo(task: Task, tree: Any, rows: int) -> tuple[bytes, list[str]]:
  """The network of a task with its encoded params inside.

  Each leaf is decoded where it is used, see `run_packed`. What comes back is
  for `jax.export.deserialize(data).call(*inputs)`.

  Args:
    task: whose `predict` is exported.
    tree: encoded variables, as of a file.
    rows: examples at a time, `>= 1`.

  Returns:
    The bytes, and what each input is: its name in a batch, dtype and shape.

  Raises:
    ValueError: `rows` out of range; params that were not encoded.
    ImportError: `flatbuffers` is missing.
  """
  if rows < 1:
    raise ValueError(f'rows is {rows}; it must be at least 1.')
  form = lambda x: jax.ShapeDtypeStruct((rows, *np.shape(x)[1:]), x.dtype)
  batch = jax.tree.map(form, sources.first(task.test, 1))
  variables = jax.eval_shape(lambda t: jc.decode(t), tree)
  leaves, structure = jax.tree.flatten(batch)
  used = used_inputs(task.predict, variables, batch)
  names = jc.tree.paths(batch)
  small = encoded.packed(tree)
  run = jc.run_packed(task.predict)

  def predict(*inputs):
    given = dict(zip(used, inputs, strict=True))
    zeros = lambda i: np.zeros(leaves[i].shape, leaves[i].dtype)
    whole = [given[i] if i in given else zeros(i) for i in range(len(leaves))]
    return run(small, structure.unflatten(whole))

  exported = jax.export.export(jax.jit(predict), platforms=PLATFORMS)(
    *(leaves[i] for i in used)
  )
  shown = lambda x: f'{x.dtype.name}{list(x.shape)}'
  return bytes(exported.serialize()), [
    f'{names[i]}: {shown(leaves[i])}' for i in used
  ]


def used_inputs(predict: Any, variables: Any, batch: Any) -> list[int]:
  """Which arrays of a batch the outputs depend on."""
  closed, _ = jaxprs.trace(predict, variables, batch)
  first = len(jax.tree.leaves(variables))
  inputs = closed.jaxpr.invars[first:]
  read = {id(a) for eqn in closed.jaxpr.eqns for a in eqn.invars}
  read |= {id(a) for a in closed.jaxpr.outvars}
  return [i for i, x in enumerate(inputs) if id(x) in read]

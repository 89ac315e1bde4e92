"""Networks as ONNX files, which run without JAX."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import jcompress as jc
from jcompress import encoded, tree
from jcompress.experiments import sources
from jcompress.experiments.exporting import used_inputs
from jcompress.experiments.task import Task

_MISSING = (
  'ONNX files need the packages jax2onnx and onnx: '
  "pip install 'jcompress[onnx]'."
)


def onnx(task: Task, tree: Any, rows: int | None) -> tuple[bytes, list[str]]:
  """The network of a task as an ONNX model with its compressed params inside.

  Kernels of codes stay codes of 8 bits in the file: a `Gather` from the
  codebook, or a product with the scales, which runtimes compute once as they
  load it. (A `DequantizeLinear` has some round the activations, too.) Other
  arrays are floats.

  Args:
    task: whose `predict` is exported.
    tree: encoded variables, as of a file.
    rows: examples at a time; `None` for any number.

  Returns:
    The bytes, and the name, dtype and shape of each input.

  Raises:
    ValueError: an operation of the network that ONNX does not have.
    ImportError: `jax2onnx` is missing.
  """
  try:
    from jax2onnx import to_onnx
  except ImportError as error:
    raise ImportError(_MISSING) from error
  batch = sources.first(task.test, 1)
  variables = jc.decode(tree)
  leaves, structure = jax.tree.flatten(batch)
  used = used_inputs(task.predict, variables, batch)
  names = [jc.tree.paths(batch)[i].replace('/', '_') for i in used]

  def predict(*inputs):
    given = dict(zip(used, inputs, strict=True))
    whole = [given.get(i, x) for i, x in enumerate(leaves)]
    return task.predict(variables, structure.unflatten(whole))

  shapes = [(rows or 'examples', *np.shape(leaves[i])[1:]) for i in used]
  dtypes = [leaves[i].dtype for i in used]
  forms: Any = [
    jax.ShapeDtypeStruct(shape, dtype)
    for shape, dtype in zip(shapes, dtypes, strict=True)
  ]
  try:
    model: Any = to_onnx(predict, forms, input_names=names)
  except (NotImplementedError, TypeError) as error:
    raise ValueError(f'This network is not for ONNX: {error}') from error
  _pack(model.graph, tree)
  shown = [
    f'{name}: {dtype.name}{list(shape)}'
    for name, dtype, shape in zip(names, dtypes, shapes, strict=True)
  ]
  return model.SerializeToString(), shown


def _pack(graph: Any, encoded_tree: Any) -> None:
  """Puts codes in the place of the arrays that they decode to."""
  from onnx import numpy_helper

  known = {_key(values): nodes for values, nodes in _coded(encoded_tree)}
  kept, nodes = [], []
  for array in graph.initializer:
    make = known.get(_key(numpy_helper.to_array(array)))
    if make is None:
      kept.append(array)
      continue
    arrays, made = make(array.name)
    kept += arrays
    nodes += made
  del graph.initializer[:]
  graph.initializer.extend(kept)
  for node in reversed(nodes):
    graph.node.insert(0, node)


def _coded(encoded_tree: Any) -> Iterator[tuple[np.ndarray, Any]]:
  """Arrays of codes of 8 bits, as they decode, and what makes their nodes."""
  from onnx import TensorProto, helper, numpy_helper

  def gather(leaf):
    def make(name):
      centers = np.asarray(leaf.centers, np.float32)
      codes = tree.to_host(leaf.codes).astype(np.uint8)
      arrays = [
        numpy_helper.from_array(x, f'{name}_{what}')
        for x, what in ((centers, 'centers'), (codes, 'codes'))
      ]
      wide, to = f'{name}_indices', TensorProto.INT32
      return arrays, [
        helper.make_node('Cast', [f'{name}_codes'], [wide], to=to),
        helper.make_node('Gather', [f'{name}_centers', wide], [name]),
      ]

    return make

  def multiply(leaf):
    def make(name):
      arrays = [
        numpy_helper.from_array(x, f'{name}_{what}')
        for x, what in (
          (np.asarray(leaf.scale, np.float32), 'scale'),
          (tree.to_host(leaf.codes), 'codes'),
        )
      ]
      wide, to = f'{name}_multiples', TensorProto.FLOAT
      return arrays, [
        helper.make_node('Cast', [f'{name}_codes'], [wide], to=to),
        helper.make_node('Mul', [wide, f'{name}_scale'], [name]),
      ]

    return make

  for leaf in jax.tree.leaves(encoded_tree, is_leaf=encoded.is_encoded):
    values: Any = None
    if isinstance(leaf, encoded.Codebook) and leaf.centers.ndim == 1:
      if leaf.centers.size <= 256:
        values, make = leaf.decode(), gather(leaf)
    elif isinstance(leaf, encoded.Quantized) and leaf.codes.dtype == np.int8:
      if leaf.zero is None and leaf.tile is None:
        values, make = leaf.decode(), multiply(leaf)
    if values is not None and values.dtype == np.float32:
      yield np.asarray(values), make


def _key(values):
  return values.shape, values.dtype.name, values.tobytes()

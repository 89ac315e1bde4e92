"""What several test files share."""

import contextlib
import struct

import jaxtyping
from beartype import BeartypeConf, beartype

# Annotations say float where an int will do, as everywhere in Python.
typecheck = beartype(conf=BeartypeConf(is_pep484_tower=True))


def as_idx(array):
  """The bytes of an IDX file."""
  header = struct.pack('>HBB', 0, 8, array.ndim)
  return header + struct.pack(f'>{array.ndim}I', *array.shape) + array.tobytes()


def equations(jaxpr):
  """The equations of a jaxpr and of all inside them."""
  for equation in jaxpr.eqns:
    yield equation
    for value in equation.params.values():
      if hasattr(value, 'jaxpr'):
        yield from equations(value.jaxpr)


@contextlib.contextmanager
def as_users_call_it():
  """Without the checks of types, which only the tests have."""
  jaxtyping.config.update('jaxtyping_disable', True)
  try:
    yield
  finally:
    jaxtyping.config.update('jaxtyping_disable', False)


# What a run leaves in its folder.
RUN_FILES = {
  '.lock',
  'checkpoints',
  'config.json',
  'metrics.jsonl',
  'model.jcz',
  'report.html',
  'result.json',
  'sizes.png',
  'training.png',
  'weights.png',
}

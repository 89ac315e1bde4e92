"""Hints: a student's layer follows one of its teacher's."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jcompress.distill.logits import float32


def hint(
  student: Float[Array, 'batch ...'],
  teacher: Float[Array, 'batch ...'],
  regressor: Callable[[Array], Array] | None = None,
  keep: Int[Array | np.ndarray, ' kept'] | None = None,
) -> Float[Array, '']:
  """`|r(s) - t|^2 / 2`, a sum over units and a mean over examples, in float32.

  The paper trains by it first, up to that layer, and then the whole student by
  soft targets; both at once did not learn.

  Args:
    student: response of a layer of the student.
    teacher: response of a layer of the teacher; no gradient flows into it.
    regressor: `r`, from the shape of the student's to that of the teacher's:
      `lambda s: s @ matrix + shift`. Its numbers are trained beside the
      student's and are no part of it. None where the shapes are equal.
    keep: units of the teacher, along its last axis, that are followed, see
      `select_neurons`; all if not given.

  Raises:
    ValueError: the regressor gives another shape than that of the teacher.

  >>> s, t = jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 5.0, 4.0]])
  >>> float(hint(s, t, keep=jnp.array([0, 2])))
  2.0

  References:
    Romero et al., FitNets: Hints for Thin Deep Nets, 2015, arXiv 1412.6550.
  """
  guided = float32(student)
  guided = guided if regressor is None else regressor(guided)
  followed = teacher if keep is None else teacher[..., keep]
  if guided.shape != followed.shape:
    raise ValueError(
      f'The student gives {guided.shape}, the teacher {followed.shape}; give a '
      'regressor from the one to the other.'
    )
  # eq. 3
  apart = guided - jax.lax.stop_gradient(float32(followed))
  return jnp.square(apart).reshape(len(apart), -1).sum(-1).mean() / 2

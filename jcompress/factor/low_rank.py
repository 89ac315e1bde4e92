"""Factors as the latent of a kernel: trained, and shipped, in its place."""

from jcompress.base import Compressor
from jcompress.encoded import Factors
from jcompress.factor.method import Method
from jcompress.leafwise import leafwise


def low_rank(method: Method) -> Compressor:
  """Trains the factors of each kernel; the model sees their product.

  The latent are the factors, which begin nearest to the kernel, and the view is
  the dense kernel, at dense cost; what is shipped are the factors. To run them
  as small layers, and to prune or quantize them, let `factorize` make another
  network. A penalty `1/2 (|A|^2 + |B|^2)` on two balanced factors is the
  nuclear norm of their product: weight decay pulls towards low rank.

  Exact zeros do not stay zero. Kernels of different sizes want different ranks:
  `partition(('conv.*/kernel', low_rank(tucker2(8, 8))), ...)`. Factoring the
  last layer alone, `select('head/kernel', low_rank(svd(64)))`, is what Sainath
  et al. do.

  Args:
    method: `svd(rank)`, `separable(rank)`, `tucker2(a, b)`, `canonical(rank)`,
      `depthwise()` or `tensor_train(in_shape, out_shape, rank)`.

  Raises:
    ValueError: in `init`, a weight that has no such factors.

  >>> import jax.numpy as jnp
  >>> from jcompress.factor.methods import svd
  >>> comp = low_rank(svd(1))
  >>> latent, state = comp.init(jnp.outer(jnp.arange(1.0, 4), jnp.ones(2)))
  >>> comp.view(latent, state).round().tolist()
  [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]

  References:
    Sainath et al., Low-rank matrix factorization for deep neural network
    training with high-dimensional output targets, 2013.
    Denton et al., 2014, arXiv 1404.0736.
    Srebro, Rennie & Jaakkola, Maximum-Margin Matrix Factorization, 2004 (the
    penalty).
  """

  def init(w):
    return tuple(method.factors(w)), ()

  def view(factors, state):
    del state
    return method.product(factors)

  def encode(factors, state):
    del state
    shape = method.shape(factors)
    return Factors(tuple(factors), method.equation(shape), shape)

  return leafwise(init, view, encode)

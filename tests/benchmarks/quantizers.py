"""The README's table of quantizers: all of them on one pruned LeNet-5.

    python tests/benchmarks/quantizers.py --workdir runs/quantizers

Trains and prunes LeNet-5 on all of Fashion-MNIST by the stages of
`configs/deep_compression_lenet5.py`, then quantizes the kernels by each method,
packs, reads the file again and measures its error: at once, and after two
epochs in which codebooks, scales or weights learn on. Methods with one codebook
for the network are set to the bytes of plain k-means. Results go to
`results.jsonl` as they come; what is there is not computed again.
"""

import bench
import jax
import jax.numpy as jnp
import numpy as np
import optax

import jcompress as jc
from jcompress import tree
from jcompress.traced import curvature

EXAMPLES = 2000  # for curvature, a paper's 'subset nearly as good'
RESPONSES = 500  # whose responses are fitted
CODEBOOKS, WEIGHTS = 1e-4, 1e-3  # learning rates


def main():
  parser = bench.parser()
  parser.add_argument('--epochs', type=float, default=2.0)
  table = Quantizers(
    parser.parse_args(), 'deep_compression_lenet5', ('dense', 'prune')
  )
  errors = table.errors
  print(f'dense {errors["dense"]:.2f} %, pruned {errors["prune"]:.2f} %')
  print(f'{"":34s} error, %  trained    bytes  bits a weight')
  rows = [('pruned, float32', jc.identity(), None), *methods(table)]
  for label, comp, rate in rows:
    table.row(label, lambda c=comp, r=rate: table.measure(c, r), line)


def line(found):
  trained = found['trained']
  trained = '   -   ' if trained is None else f'{trained:7.2f}'
  return (
    f'{found["label"]:34s} {found["error"]:8.2f}  {trained} '
    f'{found["bytes"]:8,d} {found["bits"]:9.3f}'
  )


class Quantizers(bench.Bench):
  """One pruned network, and what quantizing it costs."""

  def measure(self, comp, rate):
    contents = jc.pack(comp.encode(*comp.init(self.params)))
    error = self.error(jc.decode(jc.unpack(contents).tree))
    trained = None
    if rate is not None:
      contents = self.trained(comp, rate)
      trained = self.error(jc.decode(jc.unpack(contents).tree))
    size = sum(x.size for x in jax.tree.leaves(self.params))
    bits = 8 * len(contents) / size
    return {
      'error': error,
      'trained': trained,
      'bytes': len(contents),
      'bits': bits,
    }

  def trained(self, comp, rate):
    """Lets the latent learn on, and packs what it became."""
    steps = self.steps(self.arguments.epochs)
    tx = optax.adam(optax.cosine_decay_schedule(rate, steps))
    ts = self.train(comp, tx, self.params, steps)
    return jc.pack(comp.encode(ts.latent, ts.state))

  def size(self, comp):
    return len(jc.pack(comp.encode(*comp.init(self.params))))

  def largest(self, make, knobs, target):
    """The last of rising settings whose file has at most `target` bytes."""
    low, high = 0, len(knobs) - 1
    while low < high:
      middle = (low + high + 1) // 2
      fits = self.size(make(knobs[middle])) <= target
      low, high = (middle, high) if fits else (low, middle - 1)
    return knobs[low]


def methods(table):
  """Label, compressor, the rate at which it learns on."""
  kernels = lambda comp: jc.select(jc.KERNELS, comp)
  curve = curvature.gauss_newton_diag(
    table.apply, table.params, [table.images(EXAMPLES)]
  )
  importance = tree.split(jc.KERNELS, curve)[0]
  shared = lambda **settings: kernels(
    jc.hessian_kmeans_share(importance=importance, **settings)
  )
  for k in (4, 8):
    layers = kernels(jc.kmeans_share(k=k))
    yield f'k-means a layer, k={k}', layers, CODEBOOKS
    plain = kernels(jc.hessian_kmeans_share(k=k))
    target = table.size(plain)
    yield f'k-means, k={k}', plain, CODEBOOKS
    best = table.largest(lambda k: shared(k=k), range(2, 65), target)
    yield f'Hessian k-means, k={best}, bytes of {k}', shared(k=best), CODEBOOKS
    for name, h in (('', None), ('Hessian ', importance)):
      uniform = lambda step, h=h: kernels(jc.uniform_share(step, importance=h))
      steps = np.geomspace(1.0, 0.001, 200).tolist()
      step = table.largest(uniform, steps, target)
      yield (
        f'{name}uniform, step={step:.4f}, bytes of {k}',
        uniform(step),
        CODEBOOKS,
      )
    entropy = lambda bits: kernels(
      jc.ecsq_share(256, bits=bits, importance=importance)
    )
    wanted = np.linspace(0.2, 5, 97).tolist()
    bits = table.largest(entropy, wanted, target)
    yield f'ECSQ, {bits:.2f} bits, bytes of {k}', entropy(bits), CODEBOOKS
  inputs = jnp.asarray(table.images(RESPONSES))
  for k in (16, 64):
    plain = kernels(jc.product_quantize(k, length=4, axis=-2))
    yield f'product, k={k}, length 4', plain, CODEBOOKS
    corrected = jc.error_corrected_pq(table.apply, inputs, k=k, length=4)
    yield f'error-corrected product, k={k}', corrected, CODEBOOKS
  residual = jc.residual_quantize(16, stages=2, length=4, axis=-2)
  yield 'residual, 2 stages, k=16', kernels(residual), CODEBOOKS
  for bits in (8, 4, 3, 2):
    linear = kernels(jc.linear_quantize(bits))
    yield f'linear a channel, {bits} bits', linear, WEIGHTS
  for bits in (4, 3):
    linear = kernels(jc.linear_quantize(bits, axis=None))
    yield f'linear a layer, {bits} bits', linear, WEIGHTS
  for bits in (4, 3, 2):
    learned = kernels(jc.learned_step(bits))
    yield f'learned step (LSQ), {bits} bits', learned, WEIGHTS


if __name__ == '__main__':
  main()

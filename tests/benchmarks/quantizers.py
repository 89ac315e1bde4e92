"""The README's table of quantizers: all of them on one pruned LeNet-5.

    python tests/benchmarks/quantizers.py --workdir runs/quantizers

Trains and prunes LeNet-5 on all of Fashion-MNIST by the stages of
`configs/deep_compression_lenet5.py`, then quantizes the kernels by each method,
packs, reads the file again and measures its error: at once, and after two
epochs in which codebooks, scales or weights learn on. Methods with one codebook
for the network are set to the bytes of plain k-means. Results go to
`results.jsonl` as they come; what is there is not computed again.
"""

import argparse
import json
import pathlib
import runpy
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jcompress as jc
from jcompress import curvature, data, models, stages, train, tree
from jcompress import main as command

CONFIG = (
  pathlib.Path(__file__).parents[2] / 'configs/deep_compression_lenet5.py'
)
EXAMPLES = 2000  # for curvature, a paper's 'subset nearly as good'
RESPONSES = 500  # whose responses are fitted
CODEBOOKS, WEIGHTS = 1e-4, 1e-3  # learning rates


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--workdir', type=pathlib.Path, required=True)
  parser.add_argument('--data', default='fashion_mnist')
  parser.add_argument('--data_dir', default='')
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--epochs', type=float, default=2.0)
  parser.add_argument('--only', default='', help='rows that contain this')
  arguments = parser.parse_args()
  bench = Bench(arguments)
  bench.row('pruned, float32', jc.identity(), None)
  for label, comp, rate in methods(bench):
    if arguments.only in label:
      bench.row(label, comp, rate)


class Bench:
  """One pruned network, and what quantizing it costs."""

  def __init__(self, arguments):
    module = runpy.run_path(str(CONFIG))
    config, recipe = module['get_config'](), command.load_recipe(str(CONFIG))
    config.stages, config.seed = ('dense', 'prune'), arguments.seed
    config.data, config.data_dir = arguments.data, arguments.data_dir
    self.dataset = data.load(config.data, data_dir=config.data_dir or None)
    workdir = arguments.workdir
    workdir.mkdir(parents=True, exist_ok=True)
    done = stages.run(config, recipe, self.dataset, workdir)
    last = done[-1]
    view = last.compressor.view(last.train_state.latent, last.train_state.state)
    self.params = jax.tree.map(np.asarray, view)
    self.model = models.build(config.model, self.dataset.classes)
    self.config, self.epochs = config, arguments.epochs
    self.results = workdir / 'results.jsonl'
    self.known = [r['label'] for r in stages.read_metrics(self.results)]
    self.images = data.normalize(self.dataset.train_images[:EXAMPLES])
    print(f'dense {done[0].error:.2f} %, pruned {last.error:.2f} %')
    print(f'{"":34s} error, %  trained    bytes  bits a weight')

  def apply(self, params, images):
    return self.model.apply({'params': params}, images)

  def row(self, label, comp, rate):
    """Measures a compressor of the kernels, unless that was done before."""
    if label in self.known:
      found = next(
        r for r in stages.read_metrics(self.results) if r['label'] == label
      )
    else:
      found = self.measure(label, comp, rate)
      with self.results.open('a') as f:
        f.write(json.dumps(found) + '\n')
    trained = found['trained']
    trained = '   -   ' if trained is None else f'{trained:7.2f}'
    print(
      f'{label:34s} {found["error"]:8.2f}  {trained} {found["bytes"]:8,d} '
      f'{found["bits"]:9.3f}'
    )
    sys.stdout.flush()

  def measure(self, label, comp, rate):
    latent, state = comp.init(self.params)
    contents = jc.pack(comp.encode(latent, state))
    error = self.error(contents)
    trained = None
    if rate is not None:
      contents = self.train(comp, rate)
      trained = self.error(contents)
    size = sum(x.size for x in jax.tree.leaves(self.params))
    bits = 8 * len(contents) / size
    return {
      'label': label,
      'error': error,
      'trained': trained,
      'bytes': len(contents),
      'bits': bits,
    }

  def error(self, contents):
    return train.error_rate(
      self.apply,
      jc.decode(jc.unpack(contents).tree),
      data.normalize(self.dataset.test_images),
      self.dataset.test_labels,
    )

  def train(self, comp, rate):
    """Lets the latent learn on, and packs what it became."""
    size = self.config.batch_size
    steps = round(self.epochs * (len(self.dataset.train_labels) // size))
    tx = optax.adam(optax.cosine_decay_schedule(rate, steps))
    step = jc.train_step(self.loss, comp, tx)
    ts = jc.init_train_state(comp, tx, self.params)
    for batch in data.batches(
      self.dataset.train_images,
      self.dataset.train_labels,
      size,
      seed=self.config.seed,
      steps=steps,
    ):
      ts, _ = step(ts, batch)
    return jc.pack(comp.encode(ts.latent, ts.state))

  def loss(self, params, batch):
    return optax.softmax_cross_entropy_with_integer_labels(
      self.apply(params, batch['image']), batch['label']
    ).mean()

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


def methods(bench):
  """Label, compressor, the rate at which it learns on."""
  kernels = lambda comp: jc.select(jc.KERNELS, comp)
  curve = curvature.gauss_newton_diag(bench.apply, bench.params, [bench.images])
  importance = tree.split(jc.KERNELS, curve)[0]
  shared = lambda **settings: kernels(
    jc.hessian_kmeans_share(importance=importance, **settings)
  )
  for k in (4, 8):
    layers = kernels(jc.kmeans_share(k=k))
    yield f'k-means a layer, k={k}', layers, CODEBOOKS
    plain = kernels(jc.hessian_kmeans_share(k=k))
    target = bench.size(plain)
    yield f'k-means, k={k}', plain, CODEBOOKS
    best = bench.largest(lambda k: shared(k=k), range(2, 65), target)
    yield f'Hessian k-means, k={best}, bytes of {k}', shared(k=best), CODEBOOKS
    for name, h in (('', None), ('Hessian ', importance)):
      uniform = lambda step, h=h: kernels(jc.uniform_share(step, importance=h))
      steps = np.geomspace(1.0, 0.001, 200).tolist()
      step = bench.largest(uniform, steps, target)
      yield (
        f'{name}uniform, step={step:.4f}, bytes of {k}',
        uniform(step),
        CODEBOOKS,
      )
    entropy = lambda bits: kernels(
      jc.ecsq_share(256, bits=bits, importance=importance)
    )
    wanted = np.linspace(0.2, 5, 97).tolist()
    bits = bench.largest(entropy, wanted, target)
    yield f'ECSQ, {bits:.2f} bits, bytes of {k}', entropy(bits), CODEBOOKS
  inputs = jnp.asarray(bench.images[:RESPONSES])
  for k in (16, 64):
    plain = kernels(jc.product_quantize(k, length=4, axis=-2))
    yield f'product, k={k}, length 4', plain, CODEBOOKS
    corrected = jc.error_corrected_pq(bench.apply, inputs, k=k, length=4)
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

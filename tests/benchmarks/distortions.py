"""The README's table of distortions: each in training against each in the file.

    python tests/benchmarks/distortions.py --workdir runs/distortions

As in Merolla et al. (2016), a network is trained under one distortion of its
weights and tested under another; here a 784-256-256-10 network with batch norm,
on all of Fashion-MNIST, Adam with a cosine. Batch statistics are measured again
with the weights that are tested, on training images. Results go to
`results.jsonl` as they come; what is there is not computed again.
"""

import bench
import jax
import optax

import jcompress as jc
from jcompress.binarize import distortions
from jcompress.models.binarized import BinarizedNet

DISTORTIONS = {
  'clipping': distortions.clipped(),
  'power 1/2': distortions.power(0.5),
  '3 levels': distortions.rounding(3),
  'signs': distortions.signs(),
  'noise': distortions.multiplied_noise(0.5),
  'random signs': distortions.stochastic_signs(),
  'StochM': distortions.stochastic_projection(),
}
BATCH = 100


def main():
  parser = bench.parser()
  parser.add_argument('--epochs', type=float, default=20)
  arguments = parser.parse_args()
  table = Distortions(arguments)
  print('error, %, of a network trained under (row) and shipped with (column)')
  print(f'{"":14s}' + ''.join(f'{name:>14s}' for name in DISTORTIONS))
  for label, trained in DISTORTIONS.items():
    table.row(label, lambda t=trained: table.measure(t), line)


def line(found):
  return f'{found["label"]:14s}' + ''.join(
    f'{found[name]:14.2f}' for name in DISTORTIONS
  )


class Distortions(bench.Rows):
  """One architecture, trained under each distortion."""

  def measure(self, trained):
    model = BinarizedNet(features=(256, 256), activation='relu')
    select = lambda comp: jc.select(model.binary_kernels, comp)
    variables = model.init(jax.random.key(self.arguments.seed), self.images(1))
    steps = self.steps_of(self.arguments.epochs, BATCH)
    ts = self.fit(
      bench.loss_of(model),
      select(jc.distort(trained)),
      optax.adam(optax.cosine_decay_schedule(1e-3, steps)),
      variables['params'],
      steps,
      BATCH,
      self.arguments.seed,
      variables=variables['batch_stats'],
    )
    found, images = {}, self.images(10_000)
    for name, shipped in DISTORTIONS.items():
      comp = select(jc.distort(trained, test=shipped))
      encoded = comp.encode(ts.latent, ts.state)
      params = jc.decode(jc.unpack(jc.pack(encoded)).tree)
      variables = bench.joined(params, ts.variables)
      variables = bench.recalibrated(model, variables, images)
      found[name] = self.test_error(model.apply, variables)
    return found


if __name__ == '__main__':
  main()

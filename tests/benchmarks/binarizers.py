"""The README's table of binarization: each method on an MLP and on LeNet-5.

    python tests/benchmarks/binarizers.py --model mlp --workdir runs/mlp

Trains the network of Hou et al. (784-2048-2048-2048-10, batch norm, squared
hinge) or a LeNet-5 of the same layers on all of Fashion-MNIST, from scratch by
each method, packs, reads the file again and measures its error. The schedule is
theirs, shortened: Adam at 0.01, 0.005 where activations are binary, too (theirs
falls to a tenth twice in 50 epochs; here it falls along half a cosine).
BinaryConnect and what follows it has its own paper's: 0.001, times the inverse
of Glorot's coefficients. Results go to `results.jsonl` as they come; what is
there is not computed again.
"""

import bench
import jax
import optax

import jcompress as jc
from jcompress import losses
from jcompress.models.binarized import BinarizedNet

MODELS = {
  'mlp': {'features': (2048, 2048, 2048)},
  'lenet5': {
    'blocks': ((20,), (50,)),
    'features': (500,),
    'window': (5, 5),
    'padding': 'VALID',
  },
}
BATCH = 100
ORDERED = ('float', 'BinaryConnect', 'BWN', 'LAB')  # have three seeds


def stochastic():
  return jc.binary_connect(stochastic=True)


# Label, compressor of the kernels, what is changed of the model.
METHODS = (
  ('float', jc.identity, {}),
  ('BinaryConnect', jc.binary_connect, {}),
  ('BinaryConnect, stochastic', stochastic, {}),
  ('BWN', lambda: jc.binary_weight('layer'), {}),
  ('LAB', jc.loss_aware_binarize, {}),
  ('BNN', jc.binary_connect, {'activation': 'sign'}),
  ('XNOR', jc.binary_weight, {'activation': 'scaled_sign'}),
  ('LAB2', jc.loss_aware_binarize, {'activation': 'sign'}),
  ('HWGQ', jc.binary_weight, {'activation': 'hwgq'}),
  ('TWN', jc.ternary_weight, {}),
  ('TTQ', lambda: jc.trained_ternary(start=None), {}),
  ('LAT', lambda: jc.loss_aware_ternarize(solver='approximate'), {}),
  ('few multiplications', jc.few_multiplications, {'shifts': True}),
)


def main():
  parser = bench.parser()
  parser.add_argument('--model', choices=list(MODELS), required=True)
  parser.add_argument('--epochs', type=float, default=20)
  arguments = parser.parse_args()
  table = Binarizers(arguments)
  print(f'{"":34s} error, %      bytes  bits a weight')
  for seed in (0, 1, 2):
    for label, make, changes in METHODS:
      if seed == 0 or label in ORDERED:
        table.row(
          f'{label}, seed {seed}',
          lambda m=make, c=changes, s=seed: table.measure(m, c, s),
          line,
        )


def line(found):
  return (
    f'{found["label"]:34s} {found["error"]:8.2f} {found["bytes"]:10,d} '
    f'{found["bits"]:14.3f}'
  )


class Binarizers(bench.Rows):
  """One architecture, trained from scratch by each method."""

  def measure(self, make, changes, seed):
    settings = {'activation': 'relu', **MODELS[self.arguments.model], **changes}
    model = BinarizedNet(**settings)
    comp = jc.select(model.binary_kernels, make())
    variables = model.init(jax.random.key(seed), self.images(1))
    steps = self.steps_of(self.arguments.epochs, BATCH)
    tx = self.optimizer(model, make in (jc.binary_connect, stochastic), steps)
    ts = self.fit(
      self.loss(model),
      comp,
      tx,
      variables['params'],
      steps,
      BATCH,
      seed,
      variables=variables['batch_stats'],
      key=jax.random.key(seed + 100),
    )
    contents = jc.pack(
      {
        'params': comp.encode(ts.latent, ts.state),
        'batch_stats': jc.identity().encode(ts.variables, ()),
      }
    )
    read = jc.decode(jc.unpack(contents).tree)
    size = sum(x.size for x in jax.tree.leaves(read['params']))
    return {
      'error': self.test_error(model.apply, read),
      'bytes': len(contents),
      'bits': 8 * len(contents) / size,
    }

  def optimizer(self, model, is_scaled, steps):
    falling = lambda rate: optax.adam(optax.cosine_decay_schedule(rate, steps))
    if is_scaled:
      glorot = jc.scale_by_glorot(model.binary_kernels)
      return optax.chain(falling(0.001), glorot)
    return falling(0.01 if model.activation == 'relu' else 0.005)

  def loss(self, model):
    def loss(params, batch, variables, key):
      outputs, new = model.apply(
        {'params': params, 'batch_stats': variables},
        batch['image'],
        train=True,
        mutable=['batch_stats'],
        rngs={'binarize': key},
      )
      targets = losses.signed_one_hot(batch['label'], model.classes)
      return losses.squared_hinge(outputs, targets), {}, new['batch_stats']

    return loss


if __name__ == '__main__':
  main()

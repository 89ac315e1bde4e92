r"""Small networks, each taught by a large one in another way.

    jcompress train --config configs/students.py:half_soft --workdir=runs/soft
    jcompress sweep --config=configs/students.py --seeds=0,1,2 --workdir=runs

The teacher is the dense LeNet-5 of `deep_compression.py`, shared below one
`--root`. Students with half or a quarter of its filters and units begin anew
and train for as long as it did: `alone`, with smoothed labels, by soft targets,
by logits without labels (`l2`), by attention maps, by relations of examples, by
decoupled soft targets (`dkd`), with a second one of their kind (`mutual`), by
the running average of their own params (`average`), by draws from the posterior
of a second one (`dark`); in two stages by hints and then soft targets, and by
flow matrices (`fsp`) and then labels, both through linear maps to as many
channels as the teacher has, which are no part of the file. `born_again` is of
the teacher's own size and taught by it, `born_again_2` by that one.

On 10,000 images of Fashion-MNIST (`--config.data=fashion_mnist
--config.examples=10000 --config.share=0.6`: six epochs), seed 0; the teacher
has 13.92 and 431,080 parameters, students of half its width 109,295 and of a
quarter 27,027:

                   half  quarter
    alone         16.50    19.90
    smoothed      15.86    19.37
    soft          17.51    21.02
    l2            20.27    23.43
    hint          19.72    22.83
    attention     15.97    19.63
    relational    15.84    18.99
    dkd           18.18    21.95
    fsp           17.97    19.76
    mutual        16.63    20.22
    average       15.69    19.01
    dark          22.76    26.02

What is added to the labels helps a little (attention, relations, smoothing, the
average of its own params); what takes their place by nine tenths or more
(`soft`, `l2`, `dkd`, `dark`), or spends a stage before them (`hint`, `fsp`),
costs in so few steps more than a teacher gives that knows only 2.6 points more.

The papers' gains are of other networks on other data: with a ResNet-56 as
teacher, a ResNet-20 gets 69.06 % of CIFAR-100 right alone, 70.66 by soft
targets, 70.55 by attention, 69.95 by flow matrices (all in the repository of
Tian et al.) and 71.97 by decoupled ones (Zhao et al.).

References:
  Hinton et al., Distilling the Knowledge in a Neural Network, 2015, arXiv
    1503.02531.
  Ba & Caruana, Do Deep Nets Really Need to be Deep?, 2014, arXiv 1312.6184.
  Romero et al., FitNets: Hints for Thin Deep Nets, 2015, arXiv 1412.6550.
  Zagoruyko & Komodakis, Paying More Attention to Attention, 2017, arXiv
    1612.03928.
  Yim et al., A Gift from Knowledge Distillation, CVPR 2017.
  Park et al., Relational Knowledge Distillation, 2019, arXiv 1904.05068.
  Zhang et al., Deep Mutual Learning, 2018, arXiv 1706.00384.
  Zhao et al., Decoupled Knowledge Distillation, 2022, arXiv 2203.08679.
  Furlanello et al., Born-Again Neural Networks, 2018, arXiv 1805.04770.
  Korattikara et al., Bayesian Dark Knowledge, 2015, arXiv 1506.04416.
  Tarvainen & Valpola, Mean teachers are better role models, 2017, arXiv
    1703.01780.
  Tian et al., Contrastive Representation Distillation, 2020, arXiv 1910.10699,
    repository HobbitLong/RepDistiller.
"""

import jax
import optax

import jcompress as jc
from jcompress import distill
from jcompress.experiments import guiding, peers, recipe
from jcompress.experiments.helping import drop_helpers
from jcompress.experiments.image_task import image_task
from jcompress.experiments.recipe import Begin, Train, half_cosine
from jcompress.experiments.tasks import labels_of, logits_of
from jcompress.experiments.teaching import taught

WHOLE = 20, 50, 500
WIDTHS = {'half': (10, 25, 250), 'quarter': (5, 12, 125)}
LOSSES = (
  'alone',
  'smoothed',
  'soft',
  'l2',
  'hint',
  'attention',
  'relational',
  'dkd',
  'fsp',
  'mutual',
  'average',
  'dark',
)
DENSE = 'deep_compression.py:lenet5', 'dense'
TEACHERS = {  # of networks of its own size
  'born_again': DENSE,
  'born_again_2': ('students.py:born_again', 'train'),
}
ROWS = *(f'{width}_{loss}' for width in WIDTHS for loss in LOSSES), *TEACHERS
BY_ITSELF = 'alone', 'smoothed', 'mutual', 'average', 'dark'
CONVOLUTIONS = {f'conv{i}/kernel': f'conv{i}/kernel' for i in (1, 2)}


def get_config(row='half_soft'):
  """The numbers of a row."""
  config = recipe.defaults(row=row, method=row, features=WHOLE)
  if row not in TEACHERS:
    width, _, config.method = row.partition('_')
    config.features = WIDTHS[width]
  config.epochs = 10.0
  config.guided = 0.2  # of the epochs, where there are two stages
  config.rate = 1e-3
  config.temperature = 4.0
  config.weight = 0.9
  config.dkd = dict(alpha=1.0, beta=8.0, weight=0.5)
  config.attention = 1000.0
  config.relational = 1.0
  config.smoothing = 0.1
  config.decay = 0.999
  config.average_weight = 0.5
  config.langevin = dict(rate=0.1, precision=1.0)  # rate over examples
  return config


def get_task(config):
  """Classes of images, by a LeNet-5, whole or small."""
  return image_task(config, 'lenet5', features=tuple(config.features))


def get_stages(config, task):
  """One stage of training, or two, of which the first is of layers alone."""
  epochs, method = config.epochs, config.method
  adam = half_cosine(optax.adam, config.rate)
  by_itself = method in BY_ITSELF
  teacher = (
    None if by_itself else Begin('teacher', *TEACHERS.get(method, DENSE))
  )
  train = lambda loss, epochs=epochs, name='train': Train(
    name, jc.identity(), adam, epochs, loss, teacher=teacher
  )
  soft = taught(config.temperature, config.weight)
  match method:
    case 'alone':
      return [train(None)]

    case 'smoothed':
      return [train(lambda task, variables: smoothed(config, task))]

    case 'soft' | 'born_again' | 'born_again_2':
      return [train(soft)]

    case 'l2':
      l2 = lambda z, v, labels: distill.logit_l2(z, v)
      return [train(taught(weight=1.0, soft=l2))]

    case 'dkd':
      numbers = config.dkd
      parts = lambda z, v, labels: distill.decoupled(
        z, v, labels, numbers.alpha, numbers.beta, config.temperature
      )
      return [train(taught(weight=numbers.weight, soft=parts))]

    case 'attention':
      maps = dict(pairs=CONVOLUTIONS, strength=config.attention)
      return [train(taught(weight=0.0, **maps))]

    case 'relational':
      last = {'fc1/kernel': 'fc1/kernel'}
      loss = taught(
        weight=0.0,
        pairs=last,
        between=distill.relational,
        strength=config.relational,
      )
      return [train(loss)]

    case 'mutual':
      learn = train(peers.mutual())
      return [peers.add_peer('add'), learn, drop_helpers('drop')]

    case 'average':
      loss = peers.taught_by_peer(config.temperature, config.average_weight)
      averaging = lambda start: peers.averaging(adam(start), config.decay)
      learn = train(loss)._replace(optimizer=averaging)
      same = peers.add_peer('add', same=True)
      return [same, learn, drop_helpers('drop')]

    case 'dark':
      loss = peers.taught_by_peer(1.0, 1.0, learns=True)
      both = lambda start: dark(config, start, adam)
      learn = train(loss)._replace(optimizer=both)
      return [peers.add_peer('add'), learn, drop_helpers('drop')]

  pairs, loss, then = {
    'hint': ({'conv2/kernel': 'conv2/kernel'}, None, soft),
    'fsp': (CONVOLUTIONS, distill.flow, None),
  }[method]
  sizes = dict(zip(CONVOLUTIONS, WHOLE[:2], strict=True))
  guided, rest = (
    share * epochs for share in (config.guided, 1 - config.guided)
  )
  return [
    guiding.add_regressors('add', {path: sizes[path] for path in pairs}),
    train(guiding.guided(pairs, loss), guided, 'guide'),
    drop_helpers('drop'),
    train(then, rest),
  ]


def dark(config, start, adam):
  """Adam for the student, Langevin steps that become smaller for its peer."""
  numbers, train = config.langevin, start.task.train
  examples = train.steps * train.size
  rate = optax.cosine_decay_schedule(
    numbers.rate / examples, start.steps, alpha=0.1
  )
  key = jax.random.key(config.seed)
  draws = distill.sgld(rate, examples, key, precision=numbers.precision)
  return peers.of_each(adam(start), draws)


def smoothed(config, task):
  """Cross entropy with labels that are a little uniform."""

  def loss(outputs, batch):
    z, metrics = logits_of(outputs), task.loss(outputs, batch)[1]
    hot = jax.nn.one_hot(labels_of(batch), z.shape[-1])
    targets = optax.smooth_labels(hot, config.smoothing)
    return optax.softmax_cross_entropy(z, targets).mean(), metrics

  return loss

r"""Filters that are transforms of a few, and blocks of small layers.

    jcompress train --config configs/compact_filters.py:p4 --workdir runs/p4
    jcompress sweep --config=configs/compact_filters.py --seeds=0 --workdir=runs

One network of six 3x3 convolutions (`models.CompactVGG`) in each form, trained
from scratch on upright images; the stage `turned` shows the errors on test
images turned by quarters and by any angle. The data is `mnist_5k`, or that of
`--config.data=fashion_mnist`. For 28x28x1 images and 10 classes:

                    parameters        MACs
    plain               72,666   7,338,880
    plain_double       288,170  29,128,448
    plain_half          36,542   3,660,750
    plain_quarter       18,482   1,863,104
    plain_eighth         8,981     946,606
    negation            72,666   7,338,880  36,882 numbers in the file
    crelu               36,658   3,669,760
    mba                 36,882   3,669,760
    dcnn                32,906   7,338,880
    cyclic              18,174   7,338,400
    p4                  18,174   7,338,400
    p4m                  9,092   7,338,320
    p4_wide             72,050  29,127,488
    fire                 8,612     841,088
    factorized          56,954   5,532,544
    low_rank           113,482  11,065,088
    separable           10,938   1,156,256
    shuffle              8,350     905,304
    replaced            10,618   1,156,256
    p4_small            18,174   7,338,400

Whatever the form, each layer has as many maps as `plain`: at equal cost in
arithmetic, where copies are computed, `negation`, `dcnn`, `cyclic`, `p4` and
`p4m` stand against `plain`. At equal parameters `crelu`, `mba`, `negation` and
`dcnn` stand against `plain_half`, `cyclic` and `p4` against `plain_quarter`,
`p4m`, `fire`, `separable` and `shuffle` against `plain_eighth`, which are
thinner, and `p4_wide` against `plain`. `negation` trains the plain network
through `tie`, all others have their filters in the model.

`replaced` turns the convolutions of the trained `plain`, but the first, into
the nearest depthwise-separable ones, and trains on. `p4_small` goes on from
`p4`: its weights are pruned and rounded to 4 bits.

On 10,000 images of Fashion-MNIST (`--config.data=fashion_mnist
--config.examples=10000 --config.share=0.6`: under five epochs), seed 0, errors
upright, by quarters and by angles, and bytes of the file:

    plain          12.57  66.01  72.87  243,472
    plain_half     13.80  66.82  73.85  123,239
    plain_quarter  15.03  65.72  74.56   63,050
    plain_eighth   17.53  65.29  72.99   31,270
    negation       13.17                124,647
    crelu          13.89  66.84  72.84  123,390
    p4             17.29  17.29  51.62   61,614

    plain_double   11.00  67.09  72.90  959,384
    low_rank       11.43  64.37  72.51  382,468
    factorized     13.01  65.10  72.19  193,457
    replaced       25.38  66.88  74.82   37,766
    mba            14.27  66.24  72.30  124,286
    dcnn           13.16  66.04  72.55  111,687
    cyclic         16.67  16.67  50.98   61,626
    p4m            20.19  20.19  56.52   31,162
    separable      20.03  64.51  72.94   40,533
    fire           23.81  73.28  79.14   29,913

`p4`, `p4m` and `cyclic` are as good by quarters as upright, to the image.
`low_rank` is `plain_double` with two factors and a norm in place of each
convolution. On the digits of `mnist_5k`, trained upright, at equal parameters:

    plain           2.4   56.5   59.7  243,432
    plain_quarter   3.6   57.7   64.1   63,033
    p4              6.1    6.1   28.6   61,578
    plain_eighth    6.3   59.5   68.6   31,261
    p4m            16.4   16.4   37.2   31,179

The survey, with VGG-16: error on CIFAR-100, on CIFAR-10, compression: plain
34.26, 9.85, 1; MBA 33.66, 9.76, 2; CReLU 34.57, 9.92, 2; cyclic 35.15, 10.23,
4; doubly convolutional 33.57, 9.65, 1.62.

References:
  Cheng et al., A Survey of Model Compression and Acceleration for Deep Neural
    Networks, 2017, arXiv 1710.09282, section IV.
  The papers of the forms: see `models.CompactVGG`.
"""

import optax

import jcompress as jc
from jcompress import models
from jcompress.experiments import data, recipe, tasks
from jcompress.experiments.changes import recalibrate, turned_errors
from jcompress.experiments.factoring import factorize
from jcompress.experiments.recipe import Begin, Train, half_cosine

DOUBLE = (32, 32, 64, 64, 128, 128)
MAPS = {
  'plain_double': DOUBLE,
  'low_rank': DOUBLE,
  'plain_half': (11, 11, 23, 23, 45, 45),
  'plain_quarter': (8, 8, 16, 16, 32, 32),
  'plain_eighth': (6, 6, 11, 11, 22, 22),
  'p4_wide': DOUBLE,
}
BLOCKS = {
  'separable': {
    'stem': 16,
    'blocks': ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1)),
  },
  'shuffle': {'stem': 24, 'stages': ((48, 3), (96, 3)), 'stem_strides': 1},
}
BEHIND_THE_FIRST = 'conv[2-6]/kernel'
ROWS = (
  'plain',
  'plain_double',
  'plain_half',
  'plain_quarter',
  'plain_eighth',
  'negation',
  'crelu',
  'mba',
  'dcnn',
  'cyclic',
  'p4',
  'p4m',
  'p4_wide',
  'fire',
  'factorized',
  'low_rank',
  'separable',
  'shuffle',
  'replaced',
  'p4_small',
)


def get_config(row='plain'):
  """The numbers of a row."""
  config = recipe.defaults(row=row)
  config.maps = MAPS.get(row, (16, 16, 32, 32, 64, 64))
  config.epochs = dict(train=8.0, tune=3.0)
  config.learning_rate = 3e-3
  config.tune_rate = 1e-3
  config.sparsity = 0.5
  config.bits = 4
  return config


def get_task(config):
  """Classes of images."""
  dataset = data.of(config)
  model = model_of(config, dataset.classes)
  return tasks.image_classification(model, dataset, config.batch_size)


def model_of(config, classes):
  """The network of a row."""
  if config.row in BLOCKS:
    name = {'shuffle': 'shufflenet'}.get(config.row, config.row)
    return models.build(name, classes=classes, **BLOCKS[config.row])
  kind = config.row if config.row == 'low_rank' else config.row.split('_')[0]
  if kind in ('negation', 'replaced'):
    kind = 'plain'
  return models.build(
    'compact_vgg', kind=kind, classes=classes, maps=config.maps
  )


def get_stages(config, task):
  """Trained from scratch; or a trained one replaced or compressed."""
  slower = half_cosine(optax.adam, config.tune_rate)
  if config.row == 'replaced':
    plain = Begin('train', 'compact_filters.py:plain', 'train')
    separate = factorize('replace', {BEHIND_THE_FIRST: jc.depthwise()})
    tune = Train('tune', jc.identity(), slower, config.epochs.tune)
    return [plain, separate, recalibrate(), tune, turned_errors()]
  if config.row == 'p4_small':
    trained = Begin('train', 'compact_filters.py:p4', 'train')
    compress = lambda start: pruned(config, start)
    return [trained, Train('compress', compress, slower, config.epochs.tune)]
  faster = half_cosine(optax.adam, config.learning_rate)
  epochs = config.epochs.train
  if config.row == 'negation':
    tie = lambda **options: jc.select(
      'conv.*/kernel', jc.tie('negation', **options)
    )
    train = Train('train', tie(scratch=True), faster, epochs)
    # What comes last is shipped: the halves, as they were trained.
    return [train, turned_errors(), Train('ship', tie())]
  return [Train('train', jc.identity(), faster, epochs), turned_errors()]


def pruned(config, start):
  """Prunes base filters in the first half of the stage, rounds the others."""
  ramp = start.rising_sparsity(config.sparsity)
  rounded = jc.linear_quantize(config.bits)
  return jc.select(
    jc.KERNELS, jc.chain(jc.magnitude_prune(ramp, every=20), rounded)
  )

r"""Quantizers: all of them on one pruned LeNet-5, at once and trained on.

    jcompress train --config configs/quantization.py:ecsq_8 --workdir runs/ecsq
    jcompress sweep --config configs/quantization.py --config.data=fashion_mnist
      --seeds=0 --workdir=runs/quantization

Each row begins with the pruned network of `deep_compression.py:lenet5`,
quantizes its kernels, and lets codebooks, scales or weights learn on for two
epochs. Errors are of decoded parameters; bits are those of the file over all
431,080 parameters. On all of Fashion-MNIST, seed 0 (dense 8.40 %):

                                                error, %
                                            at once trained     bytes   bits
    pruned             float32                 8.48           131,701  2.444
    kmeans_8           8 values a layer        8.64    8.44    25,109  0.466
    kmeans_one_8       8 values in all         9.75    8.84    23,987  0.445
    hessian_8          weighted, same bytes    8.90    8.38    23,584  0.438
    uniform_8          same bytes              9.21    8.53    23,944  0.444
    uniform_hessian_8  weighted, same bytes    8.66    8.52    23,947  0.444
    ecsq_8             weighted, same bytes    8.66    8.62    23,889  0.443
    kmeans_4                                   9.38    9.08    22,514  0.418
    kmeans_one_4                              15.21    9.22    21,495  0.399
    hessian_4                                 10.56    9.43    20,986  0.389
    uniform_4                                  9.58    8.87    21,357  0.396
    uniform_hessian_4                          9.18    8.89    21,358  0.396
    ecsq_4                                     8.90    8.89    21,413  0.397
    product_16         words of 4 weights      9.21    8.85    84,249  1.563
    corrected_16       to the responses        8.62    8.66    86,328  1.602
    product_64                                 8.63    8.46   216,123  4.011
    corrected_64                               8.49    8.48   216,520  4.018
    residual_16        2 stages                8.78    8.54   150,117  2.786
    linear_8           a scale a channel       8.49    8.27    39,607  0.735
    linear_4                                   8.79    8.43    28,065  0.521
    linear_3                                  11.09    8.42    25,397  0.471
    linear_2                                  49.32   10.20    17,581  0.326
    linear_layer_4     a scale a layer         8.58    8.23    24,230  0.450
    linear_layer_3                            10.54    8.75    21,008  0.390
    lsq_4              learned step            9.69    8.49    25,810  0.479
    lsq_3                                     13.99    8.73    23,395  0.434
    lsq_2                                     45.20    9.27    20,114  0.373
    incremental_5      powers of two          12.60    8.72    22,321  0.414
    incremental_4                             12.60    8.72    22,170  0.411
    incremental_3                             13.12   11.37    17,894  0.332

Seed 1, pruned 8.56 %, trained: `kmeans_8` 8.75, `kmeans_one_8` 8.65,
`hessian_8` 8.95, `uniform_8` 8.65, `ecsq_8` 8.74, `product_16` 8.90,
`corrected_16` 9.03, `linear_4` 8.54, `lsq_4` 8.58, `incremental_5` 8.81: what
is at once better, by curvature or by the responses of layers, is not when
values have trained.

Choi et al. reach 51.25x with `uniform` on LeNet and MNIST; `uniform_8` is at
72.0x. The files of these numbers held the parameters alone, but for those of
`incremental`: what `train` writes adds some 250 bytes that say how to build the
model. *Same bytes*: the finest setting whose file at once is no larger than
that of `kmeans_one`; the results show it as `setting`. `incremental_5`, `_4`
and `_3` freeze weights on powers of two, the largest first, in turns of a
quarter of the stage.

References:
  Choi et al., Towards the Limit of Network Quantization, 2017, arXiv
    1612.01543, table 1.
  Wu et al., Quantized Convolutional Neural Networks for Mobile Devices, 2016,
    arXiv 1512.06473.
  Gong et al., Compressing Deep Convolutional Networks using Vector
    Quantization, 2014, arXiv 1412.6115.
  Esser et al., Learned Step Size Quantization, 2020, arXiv 1902.08153.
  Zhou et al., Incremental Network Quantization, 2017, arXiv 1702.03044.
"""

import numpy as np
import optax

import jcompress as jc
from jcompress.experiments import recipe, sources
from jcompress.experiments.image_task import image_task
from jcompress.experiments.recipe import Begin, Train, half_cosine

SCALARS = 'hessian', 'uniform', 'uniform_hessian', 'ecsq'
OF_WEIGHTS = 'linear', 'linear_layer', 'lsq', 'incremental'
ROWS = (
  'pruned',
  *('kmeans_8', 'kmeans_one_8', *(f'{method}_8' for method in SCALARS)),
  *('kmeans_4', 'kmeans_one_4', *(f'{method}_4' for method in SCALARS)),
  *('product_16', 'corrected_16', 'product_64', 'corrected_64'),
  'residual_16',
  *('linear_8', 'linear_4', 'linear_3', 'linear_2'),
  *('linear_layer_4', 'linear_layer_3'),
  *('lsq_4', 'lsq_3', 'lsq_2'),
  *('incremental_5', 'incremental_4', 'incremental_3'),
)


def get_config(row='pruned'):
  """The numbers of a row: its name ends in values, words or bits."""
  config = recipe.defaults(row=row, model='lenet5')
  if row != 'pruned':
    config.method, _, size = row.rpartition('_')
    config.size = int(size)
    config.rate = 1e-3 if config.method in OF_WEIGHTS else 1e-4
    config.portions = (0.5, 0.75, 0.875, 1.0)
    config.epochs = 2.0
    config.curvature_examples = 2000
    config.response_examples = 500
  return config


def get_task(config):
  """Classes of images, by LeNet-5."""
  return image_task(config, config.model)


def get_stages(config, task):
  """Pruned, then quantized and trained on."""
  pruned = Begin('pruned', 'deep_compression.py:lenet5', 'prune')
  if config.row == 'pruned':
    return [pruned]
  comp = lambda start: quantizer(config, start)
  adam = half_cosine(optax.adam, config.rate)
  return [
    pruned,
    Train('trained', comp, adam, config.epochs, at_once='at_once'),
  ]


def quantizer(config, start):
  """How the kernels of a row are quantized."""
  k = bits = config.size
  if config.method in SCALARS:
    return of_equal_bytes(config, start)
  if config.method == 'corrected':
    inputs = sources.first(start.task.train, config.response_examples)
    return jc.error_corrected_pq(apply_of(start), inputs, k=k, length=4)
  words = dict(length=4, axis=-2)
  turn = max(1, start.steps // len(config.portions))
  turns = dict(every=turn, portions=tuple(config.portions))
  make = {
    'kmeans': lambda: jc.kmeans_share(k=k),
    'kmeans_one': lambda: jc.hessian_kmeans_share(k=k),
    'product': lambda: jc.product_quantize(k, **words),
    'residual': lambda: jc.residual_quantize(k, stages=2, **words),
    'linear': lambda: jc.linear_quantize(bits),
    'linear_layer': lambda: jc.linear_quantize(bits, axis=None),
    'lsq': lambda: jc.learned_step(bits),
    'incremental': lambda: jc.incremental_quantize(bits, **turns),
  }
  return jc.select(jc.KERNELS, make[config.method]())


def of_equal_bytes(config, start):
  """One codebook, as fine as the bytes of plain k-means allow."""
  curve = None
  if config.method != 'uniform':
    curve = importance(start, config.curvature_examples)
  steps, rates = np.geomspace(1.0, 0.001, 200), np.linspace(0.2, 5, 97)
  uniform = lambda step: jc.uniform_share(step, importance=curve)
  make, settings = {
    'hessian': (
      lambda k: jc.hessian_kmeans_share(k=k, importance=curve),
      range(2, 65),
    ),
    'uniform': (uniform, steps.tolist()),
    'uniform_hessian': (uniform, steps.tolist()),
    'ecsq': (
      lambda rate: jc.ecsq_share(256, bits=rate, importance=curve),
      rates.tolist(),
    ),
  }[config.method]
  on_kernels = lambda setting: jc.select(jc.KERNELS, make(setting))
  plain = jc.hessian_kmeans_share(k=config.size)
  target = size_of(jc.select(jc.KERNELS, plain), start.params)
  found = largest(on_kernels, settings, start.params, target)
  return on_kernels(found), {'setting': found}


def largest(make, settings, params, target):
  """The last of rising settings whose file has at most `target` bytes."""
  low, high = 0, len(settings) - 1
  while low < high:
    middle = (low + high + 1) // 2
    fits = size_of(make(settings[middle]), params) <= target
    low, high = (middle, high) if fits else (low, middle - 1)
  return settings[low]


def size_of(comp, params):
  """Bytes of the file."""
  return len(jc.pack(comp.encode(*comp.init(params))))


def importance(start, examples):
  """The Gauss-Newton diagonal of the kernels."""
  batch = sources.first(start.task.train, examples)
  curve = jc.curvature.gauss_newton_diag(apply_of(start), start.params, [batch])
  return jc.tree.split(jc.KERNELS, curve)[0]


def apply_of(start):
  """The network as a function of its params and a batch."""
  return lambda params, batch: start.task.predict({'params': params}, batch)

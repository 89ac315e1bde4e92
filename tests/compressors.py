"""The table of every compressor; a method that is not in it does not exist."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

import jcompress as jc
from jcompress import tree
from jcompress.binarize import distortions

SIGNS = 'a sign is never zero'
HASHES = 'which weights share a value is up to a hash'
COPIES = 'a weight is zero where all copies of it are'
OPPOSITES = 'what pulls both a filter and its opposite up, pulls neither'
GATES = 'gates without noise are shipped, the model saw drawn ones'
ONE_CODEBOOK = 'a value of its own would change those of the other arrays'
VECTORS = 'a codeword moves as a whole, with the zeros in it'
SUBSPACES = 'a smaller singular value moves every weight'
FACTORS = 'a sum of products of factors is zero nowhere in particular'


class Entry(NamedTuple):
  comp: jc.Compressor  # of all leaves it is given
  keeps_zeros: str = ''  # or why exact zeros do not stay zero
  structural: bool = False  # keeps the weights in another form than params
  hardens: str = ''  # or why what is shipped is not what the model saw
  zeros_stay: str = ''  # or why an array of zeros does not learn


def params(dtype=jnp.float32):
  """A small network whose kernels have some exact zeros."""
  keys = jax.random.split(jax.random.key(0), 2)
  kernel = lambda key, shape: jnp.where(
    jnp.arange(shape[1]) % 3 == 1, 0, jax.random.normal(key, shape, jnp.float32)
  ).astype(dtype)
  return {
    'fc0': {'kernel': kernel(keys[0], (8, 6)), 'bias': jnp.zeros(6, dtype)},
    'fc1': {'kernel': kernel(keys[1], (6, 4)), 'bias': jnp.ones(4, dtype)},
  }


def kernels(dtype=jnp.float32):
  return tree.split(jc.KERNELS, params(dtype))[0]


def scale(factor):
  """Shows the weights times a factor, and penalizes their sum."""
  return jc.leafwise(
    init=lambda w: (w, ()),
    view=lambda w, s: factor * w,
    encode=lambda w, s: jc.encoded.Dense(factor * w),
    penalty=lambda w, s: w.sum(),
    update=lambda w, s, g: (w - g, s),
  )


def checkerboard(like):
  """A mask of every other weight."""
  return jax.tree.map(lambda w: jnp.indices(w.shape).sum(0) % 2 == 0, like)


def rising(like):
  """An importance that grows from weight to weight."""
  return jax.tree.map(
    lambda w: 1 + jnp.arange(w.size, dtype=jnp.float32).reshape(w.shape), like
  )


def each_alone(params, x):
  """A model in which each kernel is a layer of its own."""
  return [x[:, : len(w)] @ w for w in jax.tree.leaves(params)]


def table(like):
  """Makers of every compressor, for params of the form of `like`."""
  mask = checkerboard(like)
  cubic = jc.schedules.cubic_sparsity(0.7, begin=0, end=4)
  probes = jax.random.normal(jax.random.key(1), (16, 8), jnp.float32)
  return {
    'identity': lambda: Entry(
      jc.identity(), 'the dense baseline moves every weight'
    ),
    'magnitude': lambda: Entry(jc.magnitude_prune(0.5, every=2)),
    'magnitude_schedule': lambda: Entry(jc.magnitude_prune(cubic)),
    'magnitude_global': lambda: Entry(jc.magnitude_prune(0.5, scope='global')),
    'magnitude_quality': lambda: Entry(jc.magnitude_prune(quality=0.8)),
    'magnitude_rewind': lambda: Entry(
      jc.magnitude_prune(0.5, every=2, rewind=True)
    ),
    'mask': lambda: Entry(jc.with_mask(mask)),
    'stacked_magnitude': lambda: Entry(jc.stacked(jc.magnitude_prune(0.5))),
    'stacked_kmeans': lambda: Entry(
      jc.stacked(jc.kmeans_share(k=3)), structural=True
    ),
    'surgery': lambda: Entry(jc.dynamic_surgery(0.5, every=2)),
    'surgery_quality': lambda: Entry(
      jc.dynamic_surgery(quality=0.1, probability=0.5)
    ),
    'kmeans': lambda: Entry(jc.kmeans_share(k=3), structural=True),
    'kmeans_mask': lambda: Entry(
      jc.chain(jc.kmeans_share(bits=2), jc.with_mask(mask)), structural=True
    ),
    'surgery_mask': lambda: Entry(
      jc.chain(jc.dynamic_surgery(0.3), jc.with_mask(mask))
    ),
    'binary_connect': lambda: Entry(jc.binary_connect(), SIGNS),
    'binary_weight': lambda: Entry(jc.binary_weight(), SIGNS),
    'binary_weight_printed': lambda: Entry(
      jc.binary_weight('layer', gradient='printed', clip=True), SIGNS
    ),
    'distort_rounding': lambda: Entry(jc.distort(distortions.rounding(4))),
    'distort_noise': lambda: Entry(jc.distort(distortions.added_noise(0.1))),
    'distort_projection': lambda: Entry(
      jc.distort(
        distortions.stochastic_projection(), test=distortions.clipped()
      ),
      hardens='trained on random projections, shipped without',
    ),
    'loss_aware_binarize': lambda: Entry(jc.loss_aware_binarize(), SIGNS),
    'loss_aware_ternarize': lambda: Entry(jc.loss_aware_ternarize()),
    'loss_aware_ternarize_two': lambda: Entry(
      jc.loss_aware_ternarize(solver='approximate', scales=2)
    ),
    'loss_aware_levels': lambda: Entry(jc.loss_aware_levels(3)),
    'loss_aware_levels_log': lambda: Entry(
      jc.loss_aware_levels(4, spacing='log')
    ),
    'ternary_connect': lambda: Entry(
      jc.few_multiplications(),
      hardens='the real weights are shipped, the model saw draws from them',
    ),
    'few_multiplications_binary': lambda: Entry(
      jc.few_multiplications('binary', ships='codes'),
      SIGNS,
      hardens='the signs are shipped, the model saw draws',
    ),
    'ternary_weight': lambda: Entry(jc.ternary_weight()),
    'ternary_weight_filter': lambda: Entry(jc.ternary_weight('filter')),
    'trained_ternary': lambda: Entry(jc.trained_ternary(), structural=True),
    'binary_connect_stochastic': lambda: Entry(
      jc.binary_connect(stochastic=True),
      'real weights ship, and those that start at zero learn like the others',
      hardens='the real weights are shipped, the model saw signs drawn by them',
    ),
    'fixed_point': lambda: Entry(jc.fixed_point(4, 5)),
    'fixed_point_stochastic': lambda: Entry(
      jc.fixed_point(4, 5, rounding='stochastic')
    ),
    'fixed_point_mask': lambda: Entry(
      jc.chain(jc.fixed_point(4, 5, rounding='stochastic'), jc.with_mask(mask))
    ),
    'learned_step': lambda: Entry(jc.learned_step(4), structural=True),
    'learned_step_axis': lambda: Entry(
      jc.learned_step(3, axis=-1), structural=True
    ),
    'learned_step_magnitude': lambda: Entry(
      jc.chain(jc.learned_step(4), jc.magnitude_prune(0.5)), structural=True
    ),
    'entropy_penalized': lambda: Entry(
      jc.entropy_penalized(1e-3, 4), structural=True
    ),
    'entropy_penalized_magnitude': lambda: Entry(
      jc.chain(jc.entropy_penalized(1e-3, 4, every=1), jc.magnitude_prune(0.5)),
      structural=True,
    ),
    'dorefa': lambda: Entry(jc.dorefa_weights(2)),
    'dorefa_one_bit': lambda: Entry(jc.dorefa_weights(1)),
    'incremental': lambda: Entry(jc.incremental_quantize(every=1)),
    'incremental_halfway': lambda: Entry(
      jc.incremental_quantize(every=3),
      hardens='three weights of four are on their levels, the rest is rounded',
    ),
    'linear': lambda: Entry(jc.linear_quantize(8)),
    'linear_tiled': lambda: Entry(jc.linear_quantize(4, tile=4)),
    'linear_groups': lambda: Entry(
      jc.linear_quantize(
        4, tile=4, symmetric=False, scale_dtype='bfloat16', calibration='mse'
      )
    ),
    'linear_affine': lambda: Entry(jc.linear_quantize(5, symmetric=False)),
    'linear_percentile': lambda: Entry(
      jc.linear_quantize(4, calibration='percentile', percentile=90, every=2)
    ),
    'linear_mse': lambda: Entry(
      jc.linear_quantize(3, axis=None, calibration='mse', every=2)
    ),
    'linear_mask': lambda: Entry(
      jc.chain(jc.linear_quantize(8), jc.with_mask(mask))
    ),
    'pruned_linear': lambda: Entry(
      jc.chain(jc.magnitude_prune(0.5), jc.linear_quantize(4))
    ),
    'nf4': lambda: Entry(jc.grid_quantize('nf4', block=4)),
    'mxfp4': lambda: Entry(jc.grid_quantize('mxfp4')),
    'e4m3': lambda: Entry(jc.grid_quantize('e4m3', scale_dtype='float32')),
    'hadamard': lambda: Entry(
      jc.hadamard_quantize(3, block=4),
      'a rotation spreads each weight over the others of its piece',
    ),
    'hessian_kmeans': lambda: Entry(
      jc.hessian_kmeans_share(k=5, importance=rising(like)),
      structural=True,
      zeros_stay=ONE_CODEBOOK,
    ),
    'hessian_kmeans_mask': lambda: Entry(
      jc.chain(jc.hessian_kmeans_share(bits=2), jc.with_mask(mask)),
      structural=True,
      zeros_stay=ONE_CODEBOOK,
    ),
    'uniform': lambda: Entry(
      jc.uniform_share(k=7), structural=True, zeros_stay=ONE_CODEBOOK
    ),
    'ecsq': lambda: Entry(
      jc.ecsq_share(16, strength=0.02, importance=rising(like)),
      structural=True,
      zeros_stay=ONE_CODEBOOK,
    ),
    'ecsq_bits': lambda: Entry(
      jc.ecsq_share(16, bits=1.5), structural=True, zeros_stay=ONE_CODEBOOK
    ),
    'error_corrected': lambda: Entry(
      jc.error_corrected_pq(each_alone, probes, k=3, length=2),
      VECTORS,
      structural=True,
    ),
    'product': lambda: Entry(
      jc.product_quantize(3, length=2), VECTORS, structural=True
    ),
    'product_outputs': lambda: Entry(
      jc.product_quantize(3, length=4, axis=-1), VECTORS, structural=True
    ),
    'residual': lambda: Entry(
      jc.residual_quantize(3, stages=2), VECTORS, structural=True
    ),
    'residual_blocks': lambda: Entry(
      jc.residual_quantize(3, stages=3, length=3, axis=1),
      VECTORS,
      structural=True,
    ),
    'sign_quantize': lambda: Entry(jc.sign_quantize(), SIGNS, structural=True),
    'sign_quantize_mean': lambda: Entry(
      jc.sign_quantize('mean'), SIGNS, structural=True
    ),
    'truncated_svd': lambda: Entry(
      jc.truncated_svd(1), FACTORS, structural=True
    ),
    'low_rank': lambda: Entry(jc.low_rank(jc.svd(1)), FACTORS, structural=True),
    'low_rank_tucker2': lambda: Entry(
      jc.low_rank(jc.tucker2(1, 1)), FACTORS, structural=True
    ),
    'low_rank_canonical': lambda: Entry(
      jc.low_rank(jc.canonical(1, starts=2, sweeps=30)),
      FACTORS,
      structural=True,
    ),
    'low_rank_adapt': lambda: Entry(
      jc.low_rank_adapt(2, 4.0), FACTORS, structural=True
    ),
    'predicted': lambda: Entry(
      jc.predicted(0.5), 'weights follow from their neighbors', structural=True
    ),
    'nuclear_norm': lambda: Entry(
      jc.nuclear_norm(0.1, learning_rate=0.05), SUBSPACES
    ),
    'nuclear_norm_every': lambda: Entry(
      jc.nuclear_norm(
        0.1, learning_rate=optax.linear_schedule(0.1, 0.0, 10), every=2
      ),
      SUBSPACES,
    ),
    'trained_rank': lambda: Entry(
      jc.trained_rank(0.9, every=2),
      SUBSPACES,
      hardens='the rank is cut, the model saw what grew since the last cut',
    ),
    'biased_decay': lambda: Entry(jc.biased_decay(0.01)),
    'biased_decay_exponential': lambda: Entry(
      jc.biased_decay(0.01, bias='exponential', shape=2.0)
    ),
    'biased_decay_decoupled': lambda: Entry(
      jc.biased_decay(0.01, decoupled=True)
    ),
    'biased_decay_rumelhart': lambda: Entry(
      jc.biased_decay(0.01, bias='rumelhart', decoupled=True)
    ),
    'hash': lambda: Entry(jc.hash_weights(0.5), HASHES, structural=True),
    'hash_buckets': lambda: Entry(
      jc.hash_weights(buckets=5, params='trained'), HASHES, structural=True
    ),
    'hash_mask': lambda: Entry(
      jc.chain(jc.hash_weights(1.0), jc.with_mask(mask)), structural=True
    ),
    'hash_frequencies': lambda: Entry(
      jc.hash_frequencies(0.5), HASHES, structural=True
    ),
    'tie': lambda: Entry(
      jc.tie('negation'), COPIES, structural=True, zeros_stay=OPPOSITES
    ),
    'tie_prune': lambda: Entry(
      jc.tie('negation', jc.magnitude_prune(0.5, every=2)),
      COPIES,
      structural=True,
      zeros_stay=OPPOSITES,
    ),
    'nm': lambda: Entry(jc.nm_prune()),
    'nm_outputs': lambda: Entry(jc.nm_prune(1, 3, strength=0.1, axis=-1)),
    'nm_mask': lambda: Entry(jc.chain(jc.nm_prune(), jc.with_mask(mask))),
    'soft_share': lambda: Entry(
      jc.soft_share(100, components=5),
      structural=True,
      hardens='the means of the components are shipped',
    ),
    'soft_share_beta': lambda: Entry(
      jc.soft_share(100, components=3, zero_beta=(5.0, 2.0)),
      structural=True,
      hardens='the means of the components are shipped',
    ),
    'hard_concrete': lambda: Entry(
      jc.hard_concrete(0.01), structural=True, hardens=GATES
    ),
    'hard_concrete_inputs': lambda: Entry(
      jc.hard_concrete(0.01, axis=-2), structural=True, hardens=GATES
    ),
    'variational_dropout': lambda: Entry(
      jc.variational_dropout(10, every=2),
      structural=True,
      hardens='the means are shipped, the model saw draws around them',
    ),
    'rigl': lambda: Entry(jc.rigl(0.5, end=6, every=2)),
    'rigl_zeros': lambda: Entry(
      jc.rigl(0.5, end=6, every=2, densities='uniform', zeros_grow=True),
      'weights that are zero may grow, too',
    ),
    'sparse_evolution': lambda: Entry(jc.sparse_evolution(0.5, every=2)),
    'movement': lambda: Entry(jc.movement_prune(cubic), structural=True),
    'movement_soft': lambda: Entry(
      jc.movement_prune(threshold=0.48, strength=1.0), structural=True
    ),
    'group_lasso': lambda: Entry(jc.group_lasso(0.05, l1=0.01)),
    'group_lasso_proximal': lambda: Entry(
      jc.group_lasso(0.5, proximal=True, learning_rate=0.05)
    ),
    'group_lasso_several': lambda: Entry(
      jc.group_lasso(
        (0.1, 0.2),
        groups=('filters', 'channels'),
        size_weighted=False,
        zero_weights_below=0.05,
        zero_groups_below=0.1,
      ),
      zeros_stay='a step is smaller than the groups that are zeroed after it',
    ),
    'group_lasso_nested': lambda: Entry(
      jc.group_lasso(
        0.2,
        groups=('positions', 'layer'),
        l1=0.1,
        proximal=True,
        learning_rate=optax.linear_schedule(0.1, 0.0, 10),
      )
    ),
    'gradual_groups': lambda: Entry(
      jc.gradual_groups(cubic, strength=0.1, lead=2, every=2)
    ),
    'gradual_groups_global': lambda: Entry(
      jc.gradual_groups(0.4, groups='filters', scope='global')
    ),
  }


def entry(name, like):
  """One compressor of the table."""
  return table(like)[name]()


NAMES = list(table({}))
# Further settings of compressors of the table: their laws are slow tests.
VARIANTS = (
  'tie_prune',
  'stacked_magnitude',
  'nuclear_norm_every',
  'low_rank_canonical',
  'low_rank_tucker2',
  'magnitude_global',
  'kmeans_mask',
  'binary_connect_stochastic',
  'loss_aware_levels',
  'distort_projection',
  'entropy_penalized_magnitude',
  'learned_step_magnitude',
  'linear_tiled',
  'pruned_linear',
  'magnitude_schedule',
  'magnitude_quality',
  'magnitude_rewind',
  'surgery_quality',
  'surgery_mask',
  'binary_weight_printed',
  'distort_noise',
  'loss_aware_ternarize_two',
  'loss_aware_levels_log',
  'few_multiplications_binary',
  'ternary_weight_filter',
  'fixed_point',
  'fixed_point_mask',
  'learned_step_axis',
  'dorefa_one_bit',
  'incremental_halfway',
  'linear_affine',
  'linear_groups',
  'mxfp4',
  'e4m3',
  'linear_percentile',
  'linear_mse',
  'linear_mask',
  'hessian_kmeans_mask',
  'ecsq_bits',
  'product_outputs',
  'residual_blocks',
  'sign_quantize_mean',
  'biased_decay_exponential',
  'biased_decay_decoupled',
  'biased_decay_rumelhart',
  'hash_buckets',
  'hash_mask',
  'nm_outputs',
  'nm_mask',
  'soft_share_beta',
  'hard_concrete_inputs',
  'rigl_zeros',
  'movement_soft',
  'group_lasso_several',
  'group_lasso_nested',
  'gradual_groups_global',
)

# What is shipped at step 0: how many of the 72 weights are not zero (22 of the
# params are), and how many values an array has beside zero, at most.
NONZEROS = {
  'magnitude': 36,
  'magnitude_schedule': 50,
  'magnitude_global': 36,
  'magnitude_quality': 30,
  'magnitude_rewind': 36,
  'mask': 25,
  'surgery': 36,
  'surgery_quality': 30,
  'learned_step_magnitude': 36,
  'entropy_penalized_magnitude': 36,
  'pruned_linear': 36,
  'tie_prune': 36,
  'nm': 2 * 2 * 4 + 2 * 2 * 3,
  'nm_outputs': 2 * 8 + 2 * 6,
  'rigl': 36,
  'sparse_evolution': 36,
  'movement': 50,
  'movement_soft': 50,
  'gradual_groups': 50,
  'gradual_groups_global': 50 - 8,
}
VALUES = {
  'kmeans': 3,
  'kmeans_mask': 4,
  'binary_connect': 2,
  'binary_weight_printed': 2,
  'distort_rounding': 4,
  'loss_aware_binarize': 2,
  'loss_aware_ternarize': 2,
  'loss_aware_levels': 6,
  'loss_aware_levels_log': 14,
  'few_multiplications_binary': 2,
  'ternary_weight': 2,
  'trained_ternary': 2,
  'learned_step': 15,
  'entropy_penalized': 15,
  'dorefa': 4,
  'dorefa_one_bit': 2,
  'incremental': 16,
  'incremental_halfway': 16,
  'linear_mse': 6,
  'hessian_kmeans': 5,
  'hessian_kmeans_mask': 4,
  'uniform': 7,
  'ecsq': 16,
  'sign_quantize': 2,
  'sign_quantize_mean': 2,
  'soft_share': 4,
}
# One of each way to keep weights and state. Laws of what stands around a
# compressor (meshes, checkpoints, settings, loops of others) run for these; for
# the others they are slow tests.
ONE_OF_EACH = (
  'mask',
  'stacked_kmeans',
  'surgery',
  'kmeans',
  'binary_connect',
  'loss_aware_binarize',
  'distort_rounding',
  'learned_step',
  'entropy_penalized',
  'linear',
  'product',
  'low_rank',
  'hash',
  'tie',
  'soft_share',
  'hard_concrete',
  'rigl',
)

"""Neural-network compression for JAX.

A method is a `Compressor`: five pure functions of parameter trees. One jitted
step trains any of them; `pack` writes the result as one small file.
"""

from jcompress import distill, encoded, losses, ops, schedules, tree
from jcompress.base import Compressor
from jcompress.binarize.binarized import shift_adamax, shift_batch_norm
from jcompress.binarize.binary_connect import binary_connect, scale_by_glorot
from jcompress.binarize.distortions import distort
from jcompress.binarize.effective_bits import effective_bits, sign_capacity
from jcompress.binarize.few_multiplications import (
  few_multiplications,
  quantized_backprop,
)
from jcompress.binarize.loss_aware import loss_aware_binarize
from jcompress.binarize.loss_aware_ternary import (
  loss_aware_levels,
  loss_aware_ternarize,
)
from jcompress.binarize.ternary import ternary_weight
from jcompress.binarize.trained_ternary import trained_ternary
from jcompress.binarize.xnor import binary_weight, k_map
from jcompress.bridge import as_optax
from jcompress.chain import chain
from jcompress.channels.removal import (
  channel_widths,
  mask_channels,
  remove_channels,
)
from jcompress.channels.shrink import shrink, verify_rebuilt
from jcompress.channels.trace import channel_groups
from jcompress.code.archive import Artifact, load, open, unpack
from jcompress.code.container import create, pack, save
from jcompress.code.rate_distortion import rate_distortion
from jcompress.combine import identity, partition, select
from jcompress.encoded import bits, decode
from jcompress.factor.adapt import low_rank_adapt
from jcompress.factor.budget import allocate_ranks
from jcompress.factor.canonical import canonical_factors
from jcompress.factor.depthwise import depthwise_factors
from jcompress.factor.evbmf import evbmf_rank
from jcompress.factor.factorize import factored, factorize
from jcompress.factor.low_rank import low_rank
from jcompress.factor.methods import (
  canonical,
  depthwise,
  separable,
  svd,
  tensor_train,
  tucker2,
)
from jcompress.factor.nuclear_norm import nuclear_norm
from jcompress.factor.predicted import predicted
from jcompress.factor.ranks import energy_rank, spectrum, tucker2_ranks
from jcompress.factor.rectified import rectified_factors
from jcompress.factor.replaced import replace_convolutions
from jcompress.factor.separable import separable_factors
from jcompress.factor.svd import response_factors, svd_factors
from jcompress.factor.tensor_train import tensor_train_factors
from jcompress.factor.trained_rank import trained_rank
from jcompress.factor.tucker2 import tucker2_factors
from jcompress.leafwise import leafwise
from jcompress.mask import with_mask
from jcompress.planning.compress import compress
from jcompress.planning.plan import Plan
from jcompress.planning.planner import plan
from jcompress.planning.run_packed import run_packed
from jcompress.planning.tune_values import tune_values
from jcompress.prune import densities
from jcompress.prune.allocation import allocate
from jcompress.prune.at_initialization import (
  grasp_mask,
  grasp_score,
  snip_mask,
  snip_score,
)
from jcompress.prune.biased_decay import biased_decay, remove_units
from jcompress.prune.data_free import data_free_prune
from jcompress.prune.dead_units import fold_dead_units
from jcompress.prune.dropout import dropout_rate
from jcompress.prune.fan_in import scale_to_fan_in
from jcompress.prune.hard_concrete import hard_concrete, hard_concrete_labels
from jcompress.prune.increase import obd_increase, obs_increase
from jcompress.prune.layer_obs import layer_obs
from jcompress.prune.lottery import ticket_mask
from jcompress.prune.magnitude import magnitude_prune
from jcompress.prune.movement import movement_labels, movement_prune
from jcompress.prune.nm import nm_mask, nm_prune
from jcompress.prune.obd import obd_prune, obd_saliency
from jcompress.prune.obs import inverse_hessian, obs_prune
from jcompress.prune.rigl import rigl
from jcompress.prune.sensitivity import sensitivity
from jcompress.prune.sparse_evolution import sparse_evolution
from jcompress.prune.surgery import dynamic_surgery
from jcompress.prune.variational_dropout import variational_dropout
from jcompress.quantize.activations import ActivationRange
from jcompress.quantize.adaround import AdaroundReport, adaround
from jcompress.quantize.awq import awq
from jcompress.quantize.baselines import sign_quantize, truncated_svd
from jcompress.quantize.calibration import (
  calibrate_activations,
  calibrate_layers,
)
from jcompress.quantize.dorefa import dorefa_weights
from jcompress.quantize.entropy_penalized import entropy_penalized
from jcompress.quantize.error_corrected import error_corrected_pq
from jcompress.quantize.fixed_point import fixed_point, fixed_point_updates
from jcompress.quantize.gptq import gptq
from jcompress.quantize.grid_quantize import grid_quantize
from jcompress.quantize.hadamard_quantize import hadamard_quantize
from jcompress.quantize.hqq import hqq
from jcompress.quantize.importance import second_moment
from jcompress.quantize.incremental import incremental_quantize
from jcompress.quantize.integer import integer_model
from jcompress.quantize.kmeans import kmeans_1d
from jcompress.quantize.kmeans_share import kmeans_share
from jcompress.quantize.learned_step import learned_step
from jcompress.quantize.linear import linear_quantize
from jcompress.quantize.network_share import (
  ecsq_share,
  hessian_kmeans_share,
  uniform_share,
)
from jcompress.quantize.product import product_quantize
from jcompress.quantize.residual import residual_quantize
from jcompress.quantize.row_steps import row_steps
from jcompress.quantize.smooth import smooth_scales
from jcompress.quantize.step_codebook import step_codebook
from jcompress.quantize.step_feedback import step_feedback
from jcompress.quantize.vector_kmeans import vector_kmeans
from jcompress.reports import report
from jcompress.share.frequency_hashing import hash_frequencies
from jcompress.share.hashing import hash_weights
from jcompress.share.soft import soft_share, soft_share_labels
from jcompress.share.tie import tie
from jcompress.stacked import stacked
from jcompress.structure.filter_norms import filter_norms
from jcompress.structure.filter_pruning import greedy_filters, keep_filters
from jcompress.structure.filter_sensitivity import filter_sensitivity
from jcompress.structure.gradual_groups import gradual_groups
from jcompress.structure.group_lasso import group_lasso
from jcompress.structure.recalibrate import recalibrate
from jcompress.structure.selection import select_units
from jcompress.structure.weight_groups import axis_groups, unit_groups
from jcompress.traced import curvature, layers
from jcompress.traced.flops import flops
from jcompress.traced.kronecker import Moments, kronecker
from jcompress.traced.stacked_axes import stacked_axes
from jcompress.train import TrainState, init_train_state, train_step
from jcompress.tree import KERNELS

__version__ = '0.2.0'

__all__ = [
  'ActivationRange',
  'adaround',
  'AdaroundReport',
  'allocate',
  'allocate_ranks',
  'Artifact',
  'as_optax',
  'awq',
  'axis_groups',
  'biased_decay',
  'binary_connect',
  'binary_weight',
  'bits',
  'calibrate_activations',
  'calibrate_layers',
  'canonical',
  'canonical_factors',
  'chain',
  'channel_groups',
  'channel_widths',
  'compress',
  'Compressor',
  'create',
  'curvature',
  'data_free_prune',
  'decode',
  'densities',
  'depthwise',
  'depthwise_factors',
  'distill',
  'distort',
  'dorefa_weights',
  'dropout_rate',
  'dynamic_surgery',
  'ecsq_share',
  'effective_bits',
  'encoded',
  'energy_rank',
  'entropy_penalized',
  'error_corrected_pq',
  'evbmf_rank',
  'factored',
  'factorize',
  'few_multiplications',
  'filter_norms',
  'filter_sensitivity',
  'fixed_point',
  'fixed_point_updates',
  'flops',
  'fold_dead_units',
  'gptq',
  'gradual_groups',
  'grasp_mask',
  'grasp_score',
  'greedy_filters',
  'grid_quantize',
  'group_lasso',
  'hadamard_quantize',
  'hard_concrete',
  'hard_concrete_labels',
  'hash_frequencies',
  'hash_weights',
  'hessian_kmeans_share',
  'hqq',
  'identity',
  'incremental_quantize',
  'init_train_state',
  'integer_model',
  'inverse_hessian',
  'k_map',
  'keep_filters',
  'KERNELS',
  'kmeans_1d',
  'kmeans_share',
  'kronecker',
  'layer_obs',
  'layers',
  'leafwise',
  'learned_step',
  'linear_quantize',
  'load',
  'loss_aware_binarize',
  'loss_aware_levels',
  'loss_aware_ternarize',
  'losses',
  'low_rank',
  'low_rank_adapt',
  'magnitude_prune',
  'mask_channels',
  'Moments',
  'movement_labels',
  'movement_prune',
  'nm_mask',
  'nm_prune',
  'nuclear_norm',
  'obd_increase',
  'obd_prune',
  'obd_saliency',
  'obs_increase',
  'obs_prune',
  'open',
  'ops',
  'pack',
  'partition',
  'Plan',
  'plan',
  'predicted',
  'product_quantize',
  'quantized_backprop',
  'rate_distortion',
  'recalibrate',
  'rectified_factors',
  'remove_channels',
  'remove_units',
  'replace_convolutions',
  'report',
  'residual_quantize',
  'response_factors',
  'rigl',
  'row_steps',
  'run_packed',
  'save',
  'scale_by_glorot',
  'scale_to_fan_in',
  'schedules',
  'second_moment',
  'select',
  'select_units',
  'sensitivity',
  'separable',
  'separable_factors',
  'shift_adamax',
  'shift_batch_norm',
  'shrink',
  'sign_capacity',
  'sign_quantize',
  'smooth_scales',
  'snip_mask',
  'snip_score',
  'soft_share',
  'soft_share_labels',
  'sparse_evolution',
  'spectrum',
  'stacked',
  'stacked_axes',
  'step_codebook',
  'step_feedback',
  'svd',
  'svd_factors',
  'tensor_train',
  'tensor_train_factors',
  'ternary_weight',
  'ticket_mask',
  'tie',
  'train_step',
  'trained_rank',
  'trained_ternary',
  'TrainState',
  'tree',
  'truncated_svd',
  'tucker2',
  'tucker2_factors',
  'tucker2_ranks',
  'tune_values',
  'uniform_share',
  'unit_groups',
  'unpack',
  'variational_dropout',
  'vector_kmeans',
  'verify_rebuilt',
  'with_mask',
]

"""Neural-network compression for JAX.

A method is a `Compressor`: five pure functions of parameter trees. One jitted
step trains any of them; `pack` writes the result as one small file.
"""

from jcompress import curvature as curvature
from jcompress import encoded as encoded
from jcompress import layers as layers
from jcompress import losses as losses
from jcompress import ops as ops
from jcompress import schedules as schedules
from jcompress import tree as tree
from jcompress.prune import densities as densities

# isort: split
from jcompress.base import Compressor as Compressor
from jcompress.base import identity as identity
from jcompress.base import leafwise as leafwise
from jcompress.bridge import as_optax as as_optax
from jcompress.combine import chain as chain
from jcompress.combine import partition as partition
from jcompress.combine import select as select
from jcompress.prune.mask import with_mask as with_mask
from jcompress.tree import KERNELS as KERNELS

# isort: split
from jcompress.train import TrainState as TrainState
from jcompress.train import init_train_state as init_train_state
from jcompress.train import train_step as train_step

# isort: split
from jcompress.code.container import Artifact as Artifact
from jcompress.code.container import load as load
from jcompress.code.container import pack as pack
from jcompress.code.container import save as save
from jcompress.code.container import unpack as unpack
from jcompress.encoded import bits as bits
from jcompress.encoded import decode as decode
from jcompress.quantize.kmeans import kmeans_1d as kmeans_1d
from jcompress.quantize.vector_kmeans import vector_kmeans as vector_kmeans
from jcompress.reports import report as report

# isort: split
from jcompress.prune.allocation import allocate as allocate
from jcompress.prune.at_initialization import grasp_mask as grasp_mask
from jcompress.prune.at_initialization import grasp_score as grasp_score
from jcompress.prune.at_initialization import snip_mask as snip_mask
from jcompress.prune.at_initialization import snip_score as snip_score
from jcompress.prune.biased_decay import biased_decay as biased_decay
from jcompress.prune.biased_decay import remove_units as remove_units
from jcompress.prune.data_free import data_free_prune as data_free_prune
from jcompress.prune.dead_units import fold_dead_units as fold_dead_units
from jcompress.prune.dropout import dropout_rate as dropout_rate
from jcompress.prune.hard_concrete import hard_concrete as hard_concrete
from jcompress.prune.hard_concrete import (
  hard_concrete_labels as hard_concrete_labels,
)
from jcompress.prune.increase import obd_increase as obd_increase
from jcompress.prune.increase import obs_increase as obs_increase
from jcompress.prune.layer_obs import layer_obs as layer_obs
from jcompress.prune.lottery import ticket_mask as ticket_mask
from jcompress.prune.magnitude import magnitude_prune as magnitude_prune
from jcompress.prune.movement import movement_labels as movement_labels
from jcompress.prune.movement import movement_prune as movement_prune
from jcompress.prune.nm import nm_mask as nm_mask
from jcompress.prune.nm import nm_prune as nm_prune
from jcompress.prune.obd import obd_prune as obd_prune
from jcompress.prune.obd import obd_saliency as obd_saliency
from jcompress.prune.obs import inverse_hessian as inverse_hessian
from jcompress.prune.obs import obs_prune as obs_prune
from jcompress.prune.rigl import rigl as rigl
from jcompress.prune.sensitivity import sensitivity as sensitivity
from jcompress.prune.sparse_evolution import (
  sparse_evolution as sparse_evolution,
)
from jcompress.prune.surgery import dynamic_surgery as dynamic_surgery
from jcompress.prune.variational_dropout import (
  variational_dropout as variational_dropout,
)

# isort: split
from jcompress.quantize.activations import (
  ActivationRange as ActivationRange,
)
from jcompress.quantize.baselines import sign_quantize as sign_quantize
from jcompress.quantize.baselines import truncated_svd as truncated_svd
from jcompress.quantize.calibration import (
  calibrate_activations as calibrate_activations,
)
from jcompress.quantize.calibration import calibrate_layers as calibrate_layers
from jcompress.quantize.dorefa import dorefa_weights as dorefa_weights
from jcompress.quantize.error_corrected import (
  error_corrected_pq as error_corrected_pq,
)
from jcompress.quantize.fixed_point import fixed_point as fixed_point
from jcompress.quantize.fixed_point import (
  fixed_point_updates as fixed_point_updates,
)
from jcompress.quantize.importance import second_moment as second_moment
from jcompress.quantize.incremental import (
  incremental_quantize as incremental_quantize,
)
from jcompress.quantize.integer import integer_model as integer_model
from jcompress.quantize.kmeans_share import kmeans_share as kmeans_share
from jcompress.quantize.learned_step import learned_step as learned_step
from jcompress.quantize.linear import linear_quantize as linear_quantize
from jcompress.quantize.network_share import ecsq_share as ecsq_share
from jcompress.quantize.network_share import (
  hessian_kmeans_share as hessian_kmeans_share,
)
from jcompress.quantize.network_share import uniform_share as uniform_share
from jcompress.quantize.product import product_quantize as product_quantize
from jcompress.quantize.residual import residual_quantize as residual_quantize

# isort: split
from jcompress.binarize.binarized import shift_adamax as shift_adamax
from jcompress.binarize.binarized import shift_batch_norm as shift_batch_norm
from jcompress.binarize.binary_connect import binary_connect as binary_connect
from jcompress.binarize.binary_connect import scale_by_glorot as scale_by_glorot
from jcompress.binarize.distortions import distort as distort
from jcompress.binarize.effective_bits import effective_bits as effective_bits
from jcompress.binarize.effective_bits import sign_capacity as sign_capacity
from jcompress.binarize.few_multiplications import (
  few_multiplications as few_multiplications,
)
from jcompress.binarize.few_multiplications import (
  quantized_backprop as quantized_backprop,
)
from jcompress.binarize.loss_aware import (
  loss_aware_binarize as loss_aware_binarize,
)
from jcompress.binarize.loss_aware_ternary import (
  loss_aware_levels as loss_aware_levels,
)
from jcompress.binarize.loss_aware_ternary import (
  loss_aware_ternarize as loss_aware_ternarize,
)
from jcompress.binarize.ternary import ternary_weight as ternary_weight
from jcompress.binarize.trained_ternary import (
  trained_ternary as trained_ternary,
)
from jcompress.binarize.xnor import binary_weight as binary_weight
from jcompress.binarize.xnor import k_map as k_map

# isort: split
from jcompress.share.frequency_hashing import (
  hash_frequencies as hash_frequencies,
)
from jcompress.share.hashing import hash_weights as hash_weights
from jcompress.share.soft import soft_share as soft_share
from jcompress.share.soft import soft_share_labels as soft_share_labels

# isort: split
from jcompress.structure.filter_norms import filter_norms as filter_norms
from jcompress.structure.filter_pruning import greedy_filters as greedy_filters
from jcompress.structure.filter_pruning import keep_filters as keep_filters
from jcompress.structure.filter_sensitivity import (
  filter_sensitivity as filter_sensitivity,
)
from jcompress.structure.flops import flops as flops
from jcompress.structure.gradual_groups import gradual_groups as gradual_groups
from jcompress.structure.group_lasso import group_lasso as group_lasso
from jcompress.structure.recalibrate import recalibrate as recalibrate
from jcompress.structure.removal import channel_widths as channel_widths
from jcompress.structure.removal import mask_channels as mask_channels
from jcompress.structure.removal import remove_channels as remove_channels
from jcompress.structure.selection import select_units as select_units
from jcompress.structure.shrink import shrink as shrink
from jcompress.structure.shrink import verify_rebuilt as verify_rebuilt
from jcompress.structure.trace import channel_groups as channel_groups
from jcompress.structure.weight_groups import axis_groups as axis_groups
from jcompress.structure.weight_groups import unit_groups as unit_groups

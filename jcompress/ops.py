"""Operations on the model side: estimators, activations, binary products."""

from jcompress.arithmetic.binary_dot import binary_dot
from jcompress.arithmetic.bit_planes import byte_conv, byte_dot
from jcompress.arithmetic.fixed_point_ops import (
  fixed_point_op,
  fixed_point_round,
)
from jcompress.arithmetic.packing import pack_signs, unpack_signs
from jcompress.arithmetic.small_codes import pack_codes, unpack_codes
from jcompress.arithmetic.xnor_ops import binary_conv, xnor_conv, xnor_dense
from jcompress.binarize.folding import fold_threshold
from jcompress.binarize.half_wave import hwgq
from jcompress.binarize.xnor_activations import xnor_activation, xnor_gradient
from jcompress.numerics.channel_order import channel_shuffle, group_pool
from jcompress.numerics.cyclic import (
  cyclic_pool,
  cyclic_roll,
  cyclic_slice,
  cyclic_stack,
)
from jcompress.numerics.estimators import (
  hard_sigmoid,
  sign,
  stochastic_sign,
  straight_through,
)
from jcompress.numerics.shared_filters import crelu, multi_bias
from jcompress.quantize.activations import linear_activation
from jcompress.quantize.dorefa import dorefa_activation, dorefa_gradient
from jcompress.quantize.learned_step import (
  learned_step_activation,
  learned_step_start,
)
from jcompress.quantize.pact import pact

__all__ = [
  'binary_conv',
  'binary_dot',
  'byte_conv',
  'byte_dot',
  'channel_shuffle',
  'crelu',
  'cyclic_pool',
  'cyclic_roll',
  'cyclic_slice',
  'cyclic_stack',
  'dorefa_activation',
  'dorefa_gradient',
  'fixed_point_op',
  'fixed_point_round',
  'fold_threshold',
  'group_pool',
  'hard_sigmoid',
  'hwgq',
  'learned_step_activation',
  'learned_step_start',
  'linear_activation',
  'multi_bias',
  'pack_codes',
  'pack_signs',
  'pact',
  'sign',
  'stochastic_sign',
  'straight_through',
  'unpack_codes',
  'unpack_signs',
  'xnor_activation',
  'xnor_conv',
  'xnor_dense',
  'xnor_gradient',
]

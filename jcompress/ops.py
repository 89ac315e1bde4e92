"""Operations on the model side: estimators, activations, binary products."""

from jcompress.binarize.binary_dot import binary_dot as binary_dot
from jcompress.binarize.bit_planes import byte_conv as byte_conv
from jcompress.binarize.bit_planes import byte_dot as byte_dot
from jcompress.binarize.folding import fold_threshold as fold_threshold
from jcompress.binarize.half_wave import hwgq as hwgq
from jcompress.binarize.packing import pack_signs as pack_signs
from jcompress.binarize.packing import unpack_signs as unpack_signs
from jcompress.binarize.xnor_activations import (
  xnor_activation as xnor_activation,
)
from jcompress.binarize.xnor_activations import xnor_gradient as xnor_gradient
from jcompress.binarize.xnor_ops import binary_conv as binary_conv
from jcompress.binarize.xnor_ops import xnor_conv as xnor_conv
from jcompress.binarize.xnor_ops import xnor_dense as xnor_dense
from jcompress.estimators import hard_sigmoid as hard_sigmoid
from jcompress.estimators import sign as sign
from jcompress.estimators import stochastic_sign as stochastic_sign
from jcompress.estimators import straight_through as straight_through
from jcompress.quantize.activations import (
  linear_activation as linear_activation,
)
from jcompress.quantize.dorefa import dorefa_activation as dorefa_activation
from jcompress.quantize.dorefa import dorefa_gradient as dorefa_gradient
from jcompress.quantize.fixed_point_ops import fixed_point_op as fixed_point_op
from jcompress.quantize.fixed_point_ops import (
  fixed_point_round as fixed_point_round,
)
from jcompress.quantize.learned_step import (
  learned_step_activation as learned_step_activation,
)
from jcompress.quantize.learned_step import (
  learned_step_start as learned_step_start,
)
from jcompress.quantize.pact import pact as pact

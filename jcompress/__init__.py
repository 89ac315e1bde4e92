"""Neural-network compression for JAX.

A method is a `Compressor`: five pure functions of parameter trees. One jitted
step trains any of them; `pack` writes the result as one small file.
"""

from jcompress import curvature as curvature
from jcompress import encoded as encoded
from jcompress import layers as layers
from jcompress import ops as ops
from jcompress import schedules as schedules
from jcompress import tree as tree

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
from jcompress.reports import report as report

# isort: split
from jcompress.prune.magnitude import magnitude_prune as magnitude_prune
from jcompress.prune.surgery import dynamic_surgery as dynamic_surgery

# isort: split
from jcompress.quantize.kmeans_share import kmeans_share as kmeans_share

# isort: split
from jcompress.binarize.binary_connect import binary_connect as binary_connect

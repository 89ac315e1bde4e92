"""Encoded leaves: an array in the form in which it is shipped.

An encoded tree is the tree of the params with one of these in place of each
array. Each leaf knows how to become an array again (`decode`) and how many bits
it needs (`bits`: every number at its width, every code stream at its empirical
entropy, no headers). Leaves are pytrees, so that their fields hold arrays or
whatever JAX puts in the place of arrays while it looks at a tree.
"""

from jcompress.encoded.blocks import Blocks as Blocks
from jcompress.encoded.factors import Factors as Factors
from jcompress.encoded.hashed import Hashed as Hashed
from jcompress.encoded.hashed_frequencies import (
  HashedFrequencies as HashedFrequencies,
)
from jcompress.encoded.layered import Layered as Layered
from jcompress.encoded.layered import layered as layered
from jcompress.encoded.leaf import Encoded as Encoded
from jcompress.encoded.leaf import data_fields as data_fields
from jcompress.encoded.leaf import is_encoded as is_encoded
from jcompress.encoded.leaf import leaf as leaf
from jcompress.encoded.leaf import several as several
from jcompress.encoded.leaf import several_fields as several_fields
from jcompress.encoded.leaf import static as static
from jcompress.encoded.leaf import static_fields as static_fields
from jcompress.encoded.leaf import stream_entropy as stream_entropy
from jcompress.encoded.leaves import Codebook as Codebook
from jcompress.encoded.leaves import Dense as Dense
from jcompress.encoded.leaves import Key as Key
from jcompress.encoded.leaves import LowRank as LowRank
from jcompress.encoded.leaves import Signs as Signs
from jcompress.encoded.leaves import Sparse as Sparse
from jcompress.encoded.leaves import as_it_is as as_it_is
from jcompress.encoded.packed_leaf import Packed as Packed
from jcompress.encoded.packed_leaf import packed as packed
from jcompress.encoded.packed_leaf import unpacked as unpacked
from jcompress.encoded.packed_signs import PackedSigns as PackedSigns
from jcompress.encoded.product import Product as Product
from jcompress.encoded.quantized import Quantized as Quantized
from jcompress.encoded.rotated import Rotated as Rotated
from jcompress.encoded.scaled import Scaled as Scaled
from jcompress.encoded.stacked import Stacked as Stacked
from jcompress.encoded.tied import Tied as Tied
from jcompress.encoded.trees import bits as bits
from jcompress.encoded.trees import bits_of_each as bits_of_each
from jcompress.encoded.trees import decode as decode
from jcompress.encoded.trees import encoded_leaves as encoded_leaves
from jcompress.encoded.trees import identity as identity

"""Knowledge distillation: losses by which a network follows another."""

from jcompress.distill.attention_maps import attention as attention
from jcompress.distill.attention_maps import attention_map as attention_map
from jcompress.distill.decoupling import decoupled as decoupled
from jcompress.distill.deepening import deepen as deepen
from jcompress.distill.deepening import identity_norm as identity_norm
from jcompress.distill.flow_matrix import flow as flow
from jcompress.distill.flow_matrix import flow_matrix as flow_matrix
from jcompress.distill.hints import hint as hint
from jcompress.distill.logits import logit_l2 as logit_l2
from jcompress.distill.logits import soft_targets as soft_targets
from jcompress.distill.mutual_learning import mutual as mutual
from jcompress.distill.neurons import select_neurons as select_neurons
from jcompress.distill.relations import relational as relational
from jcompress.distill.responses import features as features
from jcompress.distill.sampling import sgld as sgld
from jcompress.distill.teach import loss as loss
from jcompress.distill.widening import widen as widen

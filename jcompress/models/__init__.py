"""Models in Flax linen, by the names that files and configs carry."""

from jcompress.models.bert import Bert as Bert
from jcompress.models.bert_heads import BertClassifier as BertClassifier
from jcompress.models.bert_heads import BertMasked as BertMasked
from jcompress.models.binarized import BinarizedLeNet5 as BinarizedLeNet5
from jcompress.models.binarized import BinarizedMLP as BinarizedMLP
from jcompress.models.binarized import BinarizedNet as BinarizedNet
from jcompress.models.binarized import BinarizedVGG as BinarizedVGG
from jcompress.models.build import Model as Model
from jcompress.models.build import build as build
from jcompress.models.build import describe as describe
from jcompress.models.lenet import LeNet5 as LeNet5
from jcompress.models.lenet import LeNet300100 as LeNet300100
from jcompress.models.packed_network import PackedNetwork as PackedNetwork
from jcompress.models.packed_network import jit_packed as jit_packed
from jcompress.models.packed_network import pack_network as pack_network
from jcompress.models.recurrent import CharacterLSTM as CharacterLSTM
from jcompress.models.resnet import ResNet as ResNet
from jcompress.models.separable import SeparableNet as SeparableNet
from jcompress.models.vgg import VGG16 as VGG16
from jcompress.models.vit import ViT as ViT

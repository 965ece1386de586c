"""Layers beyond the dense one, as modules that graphs and machine code run alike."""

from .dropout import Dropout as Dropout
from .dropout import drawing as drawing
from .dropout import draws_of as draws_of
from .normalising import LayerNorm as LayerNorm
from .normalising import PReLU as PReLU
from .normalising import RMSNorm as RMSNorm
from .recurrent import GRU as GRU
from .recurrent import LSTM as LSTM
from .recurrent import RNN as RNN
from .residual import Residual as Residual
from .sequences import Attention as Attention
from .sequences import Conv1d as Conv1d
from .sequences import Embedding as Embedding

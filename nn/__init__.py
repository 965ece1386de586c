"""Build and train networks of scalars: modules, layers, losses and optimisers.

>>> from chainrule import nn
>>> model = nn.MLP(2, [4, 1], seed=0)
>>> optimiser = nn.SGD(model.parameters(), lr=0.1)
>>> rows, targets = [[0.0, 1.0], [1.0, 0.0]], [1.0, -1.0]
>>> for _ in range(50):
...     loss = nn.mse([model(row) for row in rows], targets)
...     optimiser.zero_grad()
...     loss.backward()
...     optimiser.step()
>>> loss.value < 0.01
True
"""

from .layers import MLP as MLP
from .layers import Layer as Layer
from .layers import Neuron as Neuron
from .layers import Sequential as Sequential
from .losses import binary_cross_entropy as binary_cross_entropy
from .losses import cross_entropy as cross_entropy
from .losses import hinge as hinge
from .losses import huber as huber
from .losses import mae as mae
from .losses import mse as mse
from .module import Module as Module
from .optimisers import SGD as SGD
from .optimisers import Adagrad as Adagrad
from .optimisers import Adam as Adam
from .optimisers import AdamW as AdamW
from .optimisers import Optimiser as Optimiser
from .optimisers import RMSProp as RMSProp

"""Data, and an estimator beside scikit-learn's own with the same options."""

from chainrule import nn
from sklearn import neural_network as theirs
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler


def diabetes(count=120):
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:count], y[:count]
    return X, (y - y.mean()) / y.std()


def pair(kind, **options):
    options = {"hidden_layer_sizes": (6, 4), "random_state": 3, "max_iter": 12, "learning_rate_init": 0.01} | options
    return getattr(nn, kind)(**options), getattr(theirs, kind)(**options)

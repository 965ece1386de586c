"""What estimators keep and print of a training, also of one that is broken off."""

import pytest

numpy = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from chainrule import nn  # noqa: E402
from like_sklearn import diabetes, pair  # noqa: E402

ignoring = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@ignoring
def test_history_keeps_what_record_asks_for():
    X, y = diabetes(40)
    regressor = nn.MLPRegressor([3], max_iter=6, random_state=0, record=2, early_stopping=True).fit(X, y)
    history = regressor.history_
    assert history.recorded == [0, 2, 4, 6]
    assert len(history.parameters) == 4 and len(history.gradients) == 3
    assert history.parameters[0]["layers.0.neurons.0.bias"] != 0.0
    assert len(history.rows) == 36 and len(history.targets) == 36
    assert history.model is regressor.model_
    assert len(history.learning_rate) == len(history.seconds) == len(history.validation_loss) == 6
    assert nn.MLPRegressor([3], max_iter=2, random_state=0).fit(X, y).history_.recorded == []


@ignoring
def test_verbose_prints_each_loss(capsys):
    X, y = diabetes()
    ours, other = pair("MLPRegressor", verbose=True, max_iter=4, early_stopping=True)
    ours.fit(X, y)
    printed = capsys.readouterr().out
    other.fit(X, y)
    assert printed == capsys.readouterr().out


@ignoring
def test_an_interrupted_training_keeps_what_it_has():
    class Source(numpy.random.RandomState):
        times = 0

        def shuffle(self, x):
            self.times += 1
            if self.times == 4:
                raise KeyboardInterrupt
            super().shuffle(x)

    X, y = diabetes()
    with pytest.warns(UserWarning, match="MLPRegressor: training was interrupted after 3 epochs") as seen:
        regressor = nn.MLPRegressor(max_iter=9, random_state=Source(0)).fit(X, y)
    assert seen[0].filename == __file__
    assert regressor.n_iter_ == 3 and len(regressor.loss_curve_) == 3
    assert numpy.isfinite(regressor.predict(X)).all()

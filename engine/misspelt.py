"""Answer names that other libraries have with those of this one: ``chainrule.ln`` with ``chainrule.log``."""

from __future__ import annotations

from collections.abc import Iterable

# Of chainrule, of its nn and of Var: what others call it, and what to write here.
FUNCTIONS = {
    "ln": "log",
    "max": "maximum",
    "min": "minimum",
    "amax": "maximum",
    "amin": "minimum",
    "power": "pow",
    "sgn": "sign",
    "absolute": "abs",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "rint": "round",
    "clamp": "clip",
    "logistic": "sigmoid",
    "expit": "sigmoid",
    "swish": "silu",
    "jit": "compile",
    "njit": "compile",
    "vmap": "map, or compile(f, batch=...)",
    "pmap": "map, or compile(f, batch=...)",
    "gradient": "grad",
    "derivative": "grad",
    "elementwise_grad": "compile(grad(f), batch=...)",
    "jacrev": "jacobian",
    "jacfwd": "jacobian",
    "Value": "Var",
    "Variable": "Var",
    "Tensor": "Var, or numpy.ndarray of floats",
    "tensor": "Var, or numpy.array of floats",
    "Parameter": "Var",
}
LAYERS = {
    "Linear": "Layer(nin, nout, activation=None)",
    "Dense": "Layer(nin, nout)",
    "ReLU": "MLP(..., activation='relu'), or chainrule.relu",
    "Tanh": "MLP(..., activation='tanh'), or chainrule.tanh",
    "Sigmoid": "MLP(..., activation='sigmoid'), or chainrule.sigmoid",
    "Softmax": "MLP(..., output_activation='softmax'), or chainrule.softmax",
    "MSELoss": "mse",
    "L1Loss": "mae",
    "HuberLoss": "huber",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "PoissonNLLLoss": "poisson",
    "GaussianNLLLoss": "gaussian",
    "MultiheadAttention": "Attention",
    "OneCycleLR": "one_cycle_schedule",
    "PolynomialLR": "polynomial_schedule",
    "CosineAnnealingLR": "cosine_schedule",
    "CosineAnnealingWarmRestarts": "restart_schedule",
    "BCELoss": "binary_cross_entropy",
    "CrossEntropyLoss": "cross_entropy",
    "Network": "MLP",
    "NeuralNetwork": "MLP",
    "Model": "Module",
    "Parameter": "chainrule.Var",
    "train": "fit",
}
# Names of losses, metrics and optimisers, as they are written elsewhere.
NAMES = {
    "l1": "mae",
    "l2": "mse",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "squared_error": "mse",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "log_loss": "binary_cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "nll": "cross_entropy",
    "bce_with_logits": "binary_cross_entropy_with_logits",
    "pinball": "quantile",
    "poisson_nll": "poisson",
    "gaussian_nll": "gaussian",
    "lm": "LevenbergMarquardt",
    "acc": "accuracy",
}
# Of viz, and of what draws graphs elsewhere.
PICTURES = {
    "draw_dot": "draw",
    "make_dot": "draw",
    "to_dot": "draw",
    "plot": "draw",
    "visualize": "draw",
    "plot_model": "draw",
    "save": "render",
    "savefig": "render",
    "plot_loss": "plot_history",
    "plot_boundary": "plot_decision_boundary",
    "latex": "formula",
}
# Arguments of functions.
ARGUMENTS = {
    "min": "low",
    "max": "high",
    "a_min": "low",
    "a_max": "high",
    "lower": "low",
    "upper": "high",
    "negative_slope": "slope",
}
FIELDS = {
    "_op": "op",
    "data": "value",
    "val": "value",
    "gradient": "grad",
    "derivative": "grad",
    "children": "parents",
    "_prev": "parents",
    "numpy": "value",
    "tolist": "value",
    "backprop": "backward()",
}

READ = (
    "{function} expected a number but got {got}; use .value to read the number, "
    "or chainrule's own functions (chainrule.sin for math.sin) to keep the gradient"
)
POWER = "^ expected whole numbers, whose bits it combines, but got {got}; a power is written x**y"


def advice(name: str, others: dict[str, str], own: Iterable[str], prefix: str = "") -> str:
    """Return what to write instead of a name that is missing, as the end of a message; "" for no guess.

    >>> advice("ln", FUNCTIONS, ["log"])
    '; did you mean log?'
    >>> advice("sigmoyd", FUNCTIONS, ["sigmoid", "sin"], "chainrule.")
    '; did you mean chainrule.sigmoid?'
    >>> advice("LeakyReLU", FUNCTIONS, ["elu", "leaky_relu"])
    '; did you mean leaky_relu?'
    """
    meant = "" if name.startswith("__") else others.get(name) or next(iter(near(name, own)), "")
    if not meant and not name.startswith("__"):
        meant = next((right for wrong, right in others.items() if _plain(wrong) == _plain(name)), "")
    return f"; did you mean {prefix}{meant}?" if meant else ""


def near(name: str, own: Iterable[str], most: int = 1) -> list[str]:
    """Return the names that are spelt nearly so, best first; only those that differ in capitals and strokes if any do.

    >>> near("Relu", ["elu", "relu", "selu"], 3), near("tahn", ["tanh", "tan", "sin"], 3)
    (['relu'], ['tan', 'tanh'])
    """
    import difflib  # for this one moment: `import chainrule` stays light

    plain: dict[str, list[str]] = {}
    for known in own:
        plain.setdefault(_plain(known), []).append(known)
    wanted = _plain(name)
    found = [wanted] if wanted in plain else difflib.get_close_matches(wanted, plain, n=most, cutoff=0.7)
    return [known for word in found for known in plain[word]][:most]


def _plain(name: str) -> str:
    return name.replace("_", "").lower()

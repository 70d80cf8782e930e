"""Packages that only some installs hold: which extra of hasnas brings each of them.

`pip install hasnas` prices networks; what else a command imports is told in one line when it is absent.
"""

from __future__ import annotations

from .errors import BadInputError

# Name of the module as imported -> (what people call it, the smallest extra that brings it).
EXTRAS = {
    "torch": ("PyTorch", "search"),
    "spikingjelly": ("SpikingJelly", "search"),
    "nni": ("NNI", "search"),
    "pytorch_lightning": ("PyTorch Lightning", "search"),
    "pymoo": ("pymoo", "search"),
    "scipy": ("SciPy", "mapping"),
    "numba": ("Numba", "mapping"),
    "pymetis": ("PyMetis", "mapping"),
    "sklearn": ("scikit-learn", "search"),
    "networkx": ("NetworkX", "search"),
    "PIL": ("Pillow", "search"),
    "tensorboard": ("TensorBoard", "search"),
    "google": ("protobuf", "search"),
    "safetensors": ("safetensors", "search"),
    "tqdm": ("tqdm", "search"),
    "matplotlib": ("Matplotlib", "plots"),
    "bokeh": ("Bokeh", "report"),
    "botorch": ("BoTorch", "bayesian"),
    "gpytorch": ("GPyTorch", "bayesian"),
    "linear_operator": ("LinearOperator", "bayesian"),
    "optuna": ("Optuna", "optuna"),
    "deephyper": ("DeepHyper", "deephyper"),
    "ray": ("Ray", "ray"),
    "pandas": ("pandas", "pandas"),
    "onnx": ("ONNX", "onnx"),
    "onnxscript": ("ONNX Script", "onnx"),
    "onnxruntime": ("ONNX Runtime", "onnx"),
    "tonic": ("Tonic", "tonic"),
    "aedat": ("aedat", "events"),
    "expelliarmus": ("expelliarmus", "events"),
    "sktime": ("sktime", "speech"),
    "pytest": ("pytest", "test"),
    "norse": ("Norse", "test"),
    "snntorch": ("snnTorch", "test"),
}


def how_to_install(module: str) -> str:
    """The command that brings a module of an extra.

    >>> how_to_install("bokeh")
    "pip install 'hasnas[report]'"
    """
    return f"pip install 'hasnas[{EXTRAS[module][1]}]'"


def missing_extra(error: ModuleNotFoundError, what: str) -> BadInputError | None:
    """One line about a package that is absent because its extra is not installed; None for any other package.

    Args:
        error: what the import raised.
        what: who needs the package, e.g. `"hasnas search"`.

    >>> print(missing_extra(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"), "hasnas search"))
    hasnas search needs PyTorch: pip install 'hasnas[search]'
    >>> missing_extra(ModuleNotFoundError(name="cowsay"), "hasnas search") is None
    True
    """
    module = (error.name or "").split(".")[0]
    if module not in EXTRAS:
        return None
    return BadInputError(f"{what} needs {EXTRAS[module][0]}: {how_to_install(module)}")

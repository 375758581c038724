"""Networks that take a vector of numbers: held against their bundle, and run on the processor."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dicomnode.domain.errors import ModelError
from dicomnode.domain.model import ModelSpec, Weights
from dicomnode.infer.network.runtime import mapped

#: Types of a vector, and what numpy calls them; scikit-learn's converters write either.
_KINDS = {"tensor(float)": np.float32, "tensor(double)": np.float64}


def require_vector(session: Any, spec: ModelSpec, weights: Weights) -> None:
    """Compare the network of a signature with its bundle; an axis without a fixed length fits any.

    Raises
    ------
    ModelError
        Naming the value, what it is and what the bundle needs.
    """
    subject = f"model {spec.name}: {weights.onnx}"
    count = len(spec.signature.features) if spec.signature else 0
    inputs = {value.name: value for value in session.get_inputs()}
    if [*inputs] != [spec.network.features]:
        raise ModelError(f"{subject} has {', '.join(inputs) or 'nothing'}, needed {spec.network.features} alone")
    outputs = {value.name: value for value in session.get_outputs()}
    if spec.network.output not in outputs:
        raise ModelError(f"{subject} has {', '.join(outputs) or 'nothing'}, needed {spec.network.output}")
    for value in (inputs[spec.network.features], outputs[spec.network.output]):
        if value.type not in _KINDS:
            # What a classifier converted with ZipMap gives is a list of dictionaries.
            raise ModelError(f"{subject}: {value.name} is {value.type}, needed {' or '.join(_KINDS)}")
    shape = inputs[spec.network.features].shape
    if len(shape) != 2 or (isinstance(shape[0], int) and shape[0] != 1):
        raise ModelError(f"{subject}: {spec.network.features} is of shape {shape}, needed (1, features)")
    if isinstance(shape[1], int) and shape[1] != count:
        raise ModelError(
            f"{subject}: {spec.network.features} has {shape[1]} features, needed {count} as model.toml says"
        )


def run_vector(session: Any, spec: ModelSpec, vector: npt.NDArray[np.float64]) -> float:
    """The score for one patient.

    Parameters
    ----------
    vector
        Standardised values in the order of the bundle, (feature,).

    Raises
    ------
    ModelError
        If the runtime fails, or its answer has no finite number in the declared channel.
    """
    channel = spec.signature.channel if spec.signature else 0
    (value,) = session.get_inputs()
    with mapped(spec):
        (found,) = session.run([spec.network.output], {value.name: vector[None].astype(_KINDS[value.type])})
    row = np.asarray(found).reshape(-1)
    if channel >= len(row):
        raise ModelError(f"model {spec.name}: {len(row)} numbers for one patient, needed channel {channel} among them")
    if not np.isfinite(row[channel]):
        raise ModelError(f"model {spec.name}: the score is {row[channel]}, needed a finite number")
    return float(row[channel])

"""From where on something is a fault."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jaxact.errors import InputError, shown

_SHARES = ("dead", "firing", "dormant", "saturated", "lost", "vanishing", "explained")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From where on something is a fault; all of them compare one part of a network with another, or with theory.

    Attributes:
      dead: share of the units of a site that are dead, beyond what chance makes so. Amazon SageMaker Debugger's
        rule for dying ReLUs fires above 50 % of a layer.
      firing: firing rate of the units that chance makes look dead: of n examples it shows (1 - firing) ** n of
        them never active, 53 % at 64 and 0.6 % at 512. In the study of plasticity units below 1 % are dormant, so
        that those above do their work; after an epoch of digits LeNet-5 with relu has 43 % of its last units
        silent on 64 of them.
      dormant: share of the units of a site that are dormant (ReDo, at ``tau``) and not dead, beyond the same
        chance if the function has a slope of 0 anywhere. As ``dead``.
      saturated: share of the inputs of a site with less than 1 % of the steepest slope, among those that N(0, 1)
        would have above it. SageMaker's rule for saturated ones fires above 50 % of a layer. Functions that are
        flat over half of N(0, 1) by design, as relu, are judged by their dead units alone.
      lost: share of the inputs of a site where the slope is 0 in the dtype of the model and is not in jaxact.
        Under N(0, 1) none of `jax.nn` loses more than 0.12 % in bfloat16 (gelu).
      vanishing: gradient of one layer by that of a layer after it. AUTOTRAINER calls below 1e-3 vanishing.
      exploding: the same, above. AUTOTRAINER calls above 70 exploding.
      explained: share of the decades of a gradient's fall or rise that mean-field theory must account for, and
        that another initialisation must take away, to call that a matter of the initialisation. More than half.
      disagreement: factor by which the part of the weights in a plain layer's gradient may be below
        sigma_w, before the layer counts as cut off. 10: wide of what finite width does to a layer of ten units
        (2.2 in the worst of a thousand).
      input: root mean square of the inputs and of the first pre-activations, by the 1 that initialisations are
        made for. At 4.4 half of N(0, 4.4^2) lies where tanh has less than 1 % of its slope.

    Raises:
      InputError: if a share is not in (0, 1], or a factor is not a finite number above 1.

    References:
      Zhang, Zhai, Ma and Shen, "AUTOTRAINER: an automatic DNN training problem detection and repair system", 2021,
      ICSE; Dohare et al., "Loss of plasticity in deep continual learning", 2024, Nature 632; Amazon
      SageMaker Developer Guide, "List of Debugger built-in rules".
    """

    dead: float = 0.5
    firing: float = 0.01
    dormant: float = 0.5
    saturated: float = 0.5
    lost: float = 0.01
    vanishing: float = 1e-3
    exploding: float = 70.0
    explained: float = 0.5
    disagreement: float = 10.0
    input: float = 4.4

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value, share = getattr(self, field.name), field.name in _SHARES
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not (number and (0 < value <= 1 if share else 1 < value < float("inf"))):
                due = "a share, above 0 and at most 1" if share else "a factor, above 1"
                raise InputError(f"{field.name} of thresholds must be {due}, got {shown(value)}")


def checked(thresholds: Any) -> Thresholds | None:
    """Thresholds, or None for the defaults.

    Raises:
      InputError: if they are neither.
    """
    if not isinstance(thresholds, Thresholds | None):
        raise InputError(f"thresholds must be a jaxact.diagnosis.Thresholds, got {shown(thresholds)}")
    return thresholds


def thresholds_of(given: Sequence[str]) -> Thresholds:
    """Thresholds from texts, as the command line has them.

    Args:
      given: NAME=VALUE of each; the last one of a name holds.

    Raises:
      InputError: if one of them is no NAME=VALUE, or cannot be used.
    """
    names = [field.name for field in dataclasses.fields(Thresholds)]
    values: dict[str, float] = {}
    for text in given:
        name, _, value = text.partition("=")
        if name not in names:
            wanted = f"NAME=VALUE with a name of {', '.join(names)}"
            raise InputError(f"--threshold must be {wanted}, got {shown(text)}")
        try:
            values[name] = float(value)
        except ValueError:
            wanted = f"a number, as in {name}=0.5"
            raise InputError(f"--threshold {name} must be {wanted}, got {shown(value)}") from None
    try:
        return Thresholds(**values)
    except InputError as error:
        raise InputError(f"--threshold {str(error).replace(' of thresholds', '')}") from None

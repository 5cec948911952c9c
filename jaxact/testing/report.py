"""What a check found, to read, to raise and to store."""

import dataclasses
from typing import Any

LAWS = {
    "shape": "the result has the shape of the input",
    "dtype": "every float dtype is kept, in the gradient too; Python floats stay weak, integers are taken",
    "pure": "two calls agree",
    "elementwise": "a result depends on its own input alone",
    "jit": "jax.jit changes nothing",
    "vmap": "jax.vmap changes nothing",
    "modes": "grad, vjp, jvp, linearize, jacfwd, jacrev and the hessian agree",
    "nan": "no finite input gives NaN",
    "swallowed": "NaN gives NaN",
    "overflow": "no result is infinite where the true one is not",
    "vanished": "no result is exactly 0 where the true one is a normal number",
    "value": "the value is that of the reference",
    "derivative": "the derivative is that of the reference",
    "second_derivative": "the second derivative is that of the reference",
    "limit": "at an infinity stands the limit, of the value and of the derivatives",
    "kink": "the derivative taken at a kink lies between the slopes of its two sides",
    "jump": "value and derivative jump only where those of the reference do",
}
"""Every law by its name."""

_MOST_KINKS = 8


class CheckError(AssertionError):
    """A function breaks laws; the message is the report."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One broken law, in one dtype and for one order of the derivative, at the worst input.

    Attributes:
      law: a key of `LAWS`.
      dtype: of the input.
      order: 0 for the value, 1 and 2 for the derivatives.
      x: the worst input; None where the law is not about one.
      got: what came: a number, or words such as the name of a dtype or of an error.
      due: what was due.
      message: one line for people.
      span: smallest and largest of the inputs that were found at fault; None where there is no one input.
    """

    law: str
    dtype: str
    order: int
    x: float | None
    got: float | str
    due: float | str
    message: str
    span: tuple[float, float] | None = None

    def __str__(self) -> str:
        where = "" if self.x is None else f" at x = {shown(self.x)}"
        return f"{self.law}, order {self.order}, {self.dtype}{where}: {self.message}"


@dataclasses.dataclass(frozen=True)
class Kink:
    """A place where the value or the derivative jumps. Not a fault.

    Attributes:
      x: where.
      kind: "jump" of the value, or "corner".
      slopes: derivatives on the left and on the right.
      derivative: what `jax.grad` takes there.
    """

    x: float
    kind: str
    slopes: tuple[float, float]
    derivative: float

    def __str__(self) -> str:
        left, right = map(shown, self.slopes)
        taken = shown(self.derivative)
        return f"{self.kind} at {shown(self.x)}: slopes {left} and {right}, jax.grad takes {taken}"


@dataclasses.dataclass(frozen=True)
class Report:
    """What `check_activation` found.

    Attributes:
      name: of the function.
      reference: what it was held against, in words.
      dtypes: names of the dtypes it was checked in.
      findings: the broken laws.
      kinks: where the value or the derivative jumps.
      notes: what could not be checked, and why.
    """

    name: str
    reference: str
    dtypes: tuple[str, ...]
    findings: tuple[Finding, ...]
    kinks: tuple[Kink, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every law holds."""
        return not self.findings

    @property
    def laws(self) -> set[str]:
        """Names of the broken laws."""
        return {finding.law for finding in self.findings}

    def raise_if_failed(self) -> "Report":
        """The report itself if every law holds.

        Raises:
          CheckError: an AssertionError with the report as its message.
        """
        if self.findings:
            raise CheckError(str(self))
        return self

    def to_dict(self) -> dict[str, Any]:
        """The report as dicts, lists, strings and numbers."""
        return {"ok": self.ok, **dataclasses.asdict(self)}

    def __str__(self) -> str:
        faults = len(self.findings)
        verdict = "every law holds" if self.ok else f"{faults} finding{'s' * (faults != 1)}"
        lines = [f"{self.name}: {verdict} ({', '.join(self.dtypes)}; against {self.reference})"]
        if self.findings:
            cells = [("law", "order", "dtype", "x", "got", "due", "")]
            for f in self.findings:
                x = "" if f.x is None else shown(f.x)
                cells.append((f.law, str(f.order), f.dtype, x, shown(f.got), shown(f.due), f.message))
            widths = [*[max(map(len, column)) for column in zip(*cells, strict=True)][:-1], 0]
            lines += ["  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
        lines += [f"  {kink}" for kink in self.kinks[:_MOST_KINKS]]
        if len(self.kinks) > _MOST_KINKS:
            lines.append(f"  and {len(self.kinks) - _MOST_KINKS} more kinks, to {shown(self.kinks[-1].x)}")
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)


def shown(value: float | str) -> str:
    """A number at the digits that tell something; words as they are, cut short."""
    return value[:28] if isinstance(value, str) else f"{value:.6g}"

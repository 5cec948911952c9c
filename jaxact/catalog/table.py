"""The one table of facts."""

from collections.abc import Mapping
from types import MappingProxyType

from jaxact.catalog import bounded, gating, rectifying, unbounded
from jaxact.catalog.activation import Activation

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {row.name: row for part in (unbounded, bounded, rectifying, gating) for row in part.ROWS}
)
"""Every activation by its canonical name."""

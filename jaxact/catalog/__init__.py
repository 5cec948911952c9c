"""The one table of facts about the activations, and the way from a name to a function and back."""

from jaxact.catalog.activation import Activation as Activation
from jaxact.catalog.specs import Configured as Configured
from jaxact.catalog.specs import find as find
from jaxact.catalog.specs import get as get
from jaxact.catalog.specs import is_monotone as is_monotone
from jaxact.catalog.specs import serialize as serialize
from jaxact.catalog.table import ACTIVATIONS as ACTIVATIONS

"""Mean-field theory of deep random networks, for any elementwise function.

Pre-activations z' = W f(z) + b with W ~ N(0, sigma_w^2 / N) and b ~ N(0, sigma_b^2), N going to infinity. All
functions take numbers or arrays that broadcast, compute in float64 whatever JAX's flags are, and can be called
under `jax.vmap` and `jax.jit` (by a callback) unless they say otherwise.
"""

from jaxact.mean_field.criticality import CriticalPoint as CriticalPoint
from jaxact.mean_field.criticality import EdgeOfChaos as EdgeOfChaos
from jaxact.mean_field.criticality import critical_point as critical_point
from jaxact.mean_field.criticality import edge_of_chaos as edge_of_chaos
from jaxact.mean_field.depth import JacobianMoments as JacobianMoments
from jaxact.mean_field.depth import Propagation as Propagation
from jaxact.mean_field.depth import gradient_variance as gradient_variance
from jaxact.mean_field.depth import jacobian_variance as jacobian_variance
from jaxact.mean_field.depth import propagate as propagate
from jaxact.mean_field.fixed_lengths import fixed_length as fixed_length
from jaxact.mean_field.lengths import length_map as length_map
from jaxact.mean_field.networks import Measurement as Measurement
from jaxact.mean_field.networks import measure as measure
from jaxact.mean_field.phases import Phase as Phase
from jaxact.mean_field.phases import PhaseDiagram as PhaseDiagram
from jaxact.mean_field.phases import correlation_map as correlation_map
from jaxact.mean_field.phases import fixed_point as fixed_point
from jaxact.mean_field.phases import phase_diagram as phase_diagram
from jaxact.mean_field.transforms import Transformation as Transformation
from jaxact.mean_field.transforms import dks as dks
from jaxact.mean_field.transforms import tat as tat
from jaxact.mean_field.transforms import tat_leaky_relu as tat_leaky_relu

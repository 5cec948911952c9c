"""Diagnosis: the activations of any model, found in its jaxpr, and what happens at each of them."""

from jaxact.diagnosis.diagnose import Diagnosis as Diagnosis
from jaxact.diagnosis.diagnose import diagnose as diagnose
from jaxact.diagnosis.statistics import SiteRecord as SiteRecord

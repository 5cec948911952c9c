"""Diagnosis: the activations of any model, found in its jaxpr, and what happens at each of them."""

from jaxact.diagnosis.diagnose import diagnose as diagnose
from jaxact.diagnosis.flow import Flow as Flow
from jaxact.diagnosis.history import History as History
from jaxact.diagnosis.monitor import Monitor as Monitor
from jaxact.diagnosis.monitor import Observation as Observation
from jaxact.diagnosis.parameters import ParameterRecord as ParameterRecord
from jaxact.diagnosis.report import Diagnosis as Diagnosis
from jaxact.diagnosis.sites import NotCovered as NotCovered
from jaxact.diagnosis.statistics import SiteRecord as SiteRecord
from jaxact.diagnosis.statistics import Spread as Spread
from jaxact.diagnosis.thresholds import Thresholds as Thresholds
from jaxact.diagnosis.verdict import Verdict as Verdict
from jaxact.diagnosis.what_if import WhatIf as WhatIf

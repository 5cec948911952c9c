"""The laws of activations as tools: true values, measured errors, and checks for anybody's function."""

from jaxact.testing.check import check_activation as check_activation
from jaxact.testing.report import LAWS as LAWS
from jaxact.testing.report import CheckError as CheckError
from jaxact.testing.report import Finding as Finding
from jaxact.testing.report import Kink as Kink
from jaxact.testing.report import Report as Report

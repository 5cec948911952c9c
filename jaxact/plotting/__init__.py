"""Figures: every function draws arrays on the Axes it is given, or makes one figure of them."""

from jaxact.plotting.accuracy import errors_figure as errors_figure
from jaxact.plotting.accuracy import plot_errors as plot_errors
from jaxact.plotting.curves import curves_by_order_figure as curves_by_order_figure
from jaxact.plotting.curves import plot_activation as plot_activation
from jaxact.plotting.curves import plot_curves as plot_curves
from jaxact.plotting.depth import depth_figure as depth_figure
from jaxact.plotting.depth import phase_figure as phase_figure
from jaxact.plotting.depth import plot_depth as plot_depth
from jaxact.plotting.depth import plot_phase as plot_phase
from jaxact.plotting.files import format_of as format_of
from jaxact.plotting.files import save as save
from jaxact.plotting.gate_map import plot_saturation_map as plot_saturation_map
from jaxact.plotting.gate_map import saturation_map_figure as saturation_map_figure
from jaxact.plotting.page import Curves as Curves
from jaxact.plotting.page import page_figure as page_figure
from jaxact.plotting.page import sheet_figure as sheet_figure
from jaxact.plotting.saturation import plot_dead_zones as plot_dead_zones
from jaxact.plotting.saturation import plot_saturation as plot_saturation
from jaxact.plotting.saturation import saturation_figure as saturation_figure
from jaxact.plotting.training import comparison_figure as comparison_figure
from jaxact.plotting.training import confusion_figure as confusion_figure
from jaxact.plotting.training import curves_figure as curves_figure
from jaxact.plotting.training import images_figure as images_figure
from jaxact.plotting.training import plot_confusion as plot_confusion
from jaxact.plotting.training import plot_history as plot_history

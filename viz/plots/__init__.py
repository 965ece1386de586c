"""Plot trainings and what they learned, still and as films."""

from .animation import animate as animate
from .attention import plot_attention as plot_attention
from .axes import figure_of as figure_of
from .boundary import plot_decision_boundary as plot_decision_boundary
from .curves import plot_fit as plot_fit
from .curves import plot_history as plot_history
from .gradients import plot_gradients as plot_gradients
from .outputs import is_history as is_history
from .surface import plot_surface as plot_surface

"""Vars and the graph that they record: nodes, the reverse sweep, modes."""

from . import copying as copying  # gives Var its pickles
from . import modes as modes
from .backward import gradients as gradients
from .backward import gradients_since as gradients_since
from .backward import walk as walk
from .blame import check_gradient as check_gradient
from .blame import user_line as user_line
from .closures import Outside as Outside
from .closures import arrays_whole_from as arrays_whole_from
from .closures import lift as lift
from .closures import running_alone as running_alone
from .closures import session as session
from .copying import link as link  # gives Var its pickles
from .modes import is_recording as is_recording
from .modes import is_strict as is_strict
from .modes import lenient as lenient
from .modes import no_grad as no_grad
from .modes import recording as recording
from .modes import strict as strict
from .modes import uncollected as uncollected
from .runs import current as current
from .runs import holding as holding
from .runs import inside as inside
from .runs import is_tracing as is_tracing
from .runs import while_tracing as while_tracing
from .var import Var as Var
from .var import ask_rule as ask_rule
from .var import begin as begin
from .var import born_since as born_since
from .var import core as core
from .var import local_partials as local_partials
from .var import number_of as number_of

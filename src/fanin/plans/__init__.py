"""Plans: from a model to what every parameter gets, and to its weights."""

from fanin.plans._audit import Account as Account
from fanin.plans._audit import Audit as Audit
from fanin.plans._groups import optimizer_groups as optimizer_groups
from fanin.plans._make import initialize as initialize
from fanin.plans._make import initialize_params as initialize_params
from fanin.plans._make import plan as plan
from fanin.plans._plan import Plan as Plan
from fanin.plans._row import Row as Row

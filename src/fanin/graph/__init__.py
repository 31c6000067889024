"""The graph: what a model did with its parameters in one run, and what follows from its shape."""

from fanin.graph._carried import find_carried as find_carried
from fanin.graph._graph import CARRIERS as CARRIERS
from fanin.graph._graph import Flag as Flag
from fanin.graph._graph import Function as Function
from fanin.graph._graph import Graph as Graph
from fanin.graph._graph import Node as Node
from fanin.graph._graph import NoGraphError as NoGraphError
from fanin.graph._graph import Use as Use
from fanin.graph._graph import Values as Values
from fanin.graph._graph import Window as Window
from fanin.graph._inner import inner_products as inner_products
from fanin.graph._lines import evaluate as evaluate
from fanin.graph._lines import factor as factor
from fanin.graph._lines import second_input as second_input
from fanin.graph._lines import slope as slope
from fanin.graph._logits import Logits as Logits
from fanin.graph._logits import logits_of as logits_of
from fanin.graph._mixtures import mixture as mixture
from fanin.graph._operations import OPERATIONS as OPERATIONS
from fanin.graph._operations import Op as Op
from fanin.graph._operations import Trait as Trait
from fanin.graph._operations import having as having
from fanin.graph._sets import NodeSet as NodeSet
from fanin.graph._sets import reach as reach
from fanin.graph._structure import Residual as Residual
from fanin.graph._structure import Structure as Structure

"""PyTorch: modules as Params, values written into their parameters, and models traced."""

from fanin.frameworks._observation import Observation as Observation
from fanin.frameworks.torch import init as init
from fanin.frameworks.torch._target import target as target
from fanin.frameworks.torch.draws._empty import empty_weights as empty_weights
from fanin.frameworks.torch.observe._objective import Objective as Objective
from fanin.frameworks.torch.observe._objective import project as project
from fanin.frameworks.torch.observe._observe import observe as observe
from fanin.frameworks.torch.observe._seen import measure as measure
from fanin.frameworks.torch.observe._subject import build as build
from fanin.frameworks.torch.observe._subject import place as place
from fanin.frameworks.torch.observe._subject import subject as subject
from fanin.frameworks.torch.runs._tensors import tensors_in as tensors_in
from fanin.frameworks.torch.trace._trace import trace as trace
from fanin.frameworks.torch.tree._recurrent import Reading as Reading
from fanin.frameworks.torch.tree._recurrent import Recurrent as Recurrent
from fanin.frameworks.torch.write._new_buffers import new_buffers as new_buffers
from fanin.frameworks.torch.write._shards import is_spread as is_spread
from fanin.frameworks.torch.write._slots import slots as slots
from fanin.frameworks.torch.write._stored import call_empty as call_empty
from fanin.frameworks.torch.write._stored import retype as retype

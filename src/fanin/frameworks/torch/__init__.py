"""PyTorch: modules as Params, values written into their parameters, and models traced."""

from fanin.frameworks.torch._device import write_all as write_all
from fanin.frameworks.torch._empty import empty_weights as empty_weights
from fanin.frameworks.torch._measure import TorchProbe as TorchProbe
from fanin.frameworks.torch._names import buffer_names as buffer_names
from fanin.frameworks.torch._names import canonical_names as canonical_names
from fanin.frameworks.torch._objective import Objective as Objective
from fanin.frameworks.torch._objective import projected as projected
from fanin.frameworks.torch._observe import Observation as Observation
from fanin.frameworks.torch._observe import observe as observe
from fanin.frameworks.torch._slot import Slot as Slot
from fanin.frameworks.torch._slots import slots as slots
from fanin.frameworks.torch._stored import build_empty as build_empty
from fanin.frameworks.torch._stored import stored as stored
from fanin.frameworks.torch._subject import batch_of as batch_of
from fanin.frameworks.torch._subject import built as built
from fanin.frameworks.torch._subject import facts as facts
from fanin.frameworks.torch._subject import gaussian_inputs as gaussian_inputs
from fanin.frameworks.torch._subject import observed as observed
from fanin.frameworks.torch._subject import refuse_empty as refuse_empty
from fanin.frameworks.torch._subject import smallest_normal as smallest_normal
from fanin.frameworks.torch._trace import tensors_of as tensors_of
from fanin.frameworks.torch._trace import trace as trace
from fanin.frameworks.torch._twins import remember as remember
from fanin.frameworks.torch._twins import twins as twins
from fanin.frameworks.torch._vacancy import fill_buffers as fill_buffers

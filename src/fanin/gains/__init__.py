"""Gains of activations, and what theory says about deep networks of them."""

from fanin.gains._activation import ActivationLike as ActivationLike
from fanin.gains._activation import names as names
from fanin.gains._activation import register as register
from fanin.gains._critical import critical_weight_variance as critical_weight_variance
from fanin.gains._depth import DepthTheory as DepthTheory
from fanin.gains._depth import depth_theory as depth_theory
from fanin.gains._gain import gain as gain
from fanin.gains._list import GainRow as GainRow
from fanin.gains._list import GainTable as GainTable
from fanin.gains._list import table as table
from fanin.gains._list import torch_constant as torch_constant
from fanin.gains._steady import SteadyStart as SteadyStart
from fanin.gains._steady import steady_start as steady_start

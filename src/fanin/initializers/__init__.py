"""Initializers: rules for the values of a parameter."""

from fanin.initializers._base import Initializer as Initializer
from fanin.initializers._constant import constant as constant
from fanin.initializers._constant import ones as ones
from fanin.initializers._constant import zeros as zeros
from fanin.initializers._random import normal as normal
from fanin.initializers._random import truncated_normal as truncated_normal
from fanin.initializers._random import uniform as uniform
from fanin.initializers._registry import get as get
from fanin.initializers._registry import names as names
from fanin.initializers._scaling import PRESETS as _PRESETS
from fanin.initializers._scaling import variance_scaling as variance_scaling

glorot_uniform = xavier_uniform = _PRESETS["glorot_uniform"]
glorot_normal = xavier_normal = _PRESETS["glorot_normal"]
glorot_truncated_normal = xavier_truncated_normal = _PRESETS["glorot_truncated_normal"]
he_uniform = kaiming_uniform = _PRESETS["he_uniform"]
he_normal = kaiming_normal = _PRESETS["he_normal"]
he_truncated_normal = kaiming_truncated_normal = _PRESETS["he_truncated_normal"]
lecun_uniform = _PRESETS["lecun_uniform"]
lecun_normal = _PRESETS["lecun_normal"]
lecun_truncated_normal = _PRESETS["lecun_truncated_normal"]

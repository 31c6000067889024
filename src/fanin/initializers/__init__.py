"""Initializers: rules for the values of a parameter."""

from fanin.initializers._base import Elementwise as Elementwise
from fanin.initializers._base import Initializer as Initializer
from fanin.initializers._bias import class_priors as class_priors
from fanin.initializers._bias import prior_probability as prior_probability
from fanin.initializers._bias import torch_bias as torch_bias
from fanin.initializers._blocks import blocks as blocks
from fanin.initializers._blocks import forget_gate as forget_gate
from fanin.initializers._constant import constant as constant
from fanin.initializers._constant import ones as ones
from fanin.initializers._constant import zeros as zeros
from fanin.initializers._factorization import log_normal as log_normal
from fanin.initializers._factorization import weight_factorization as weight_factorization
from fanin.initializers._mimetic import mimetic as mimetic
from fanin.initializers._orthogonal import delta_orthogonal as delta_orthogonal
from fanin.initializers._orthogonal import orthogonal as orthogonal
from fanin.initializers._orthogonal import unit_rows as unit_rows
from fanin.initializers._periodic import fourier_features as fourier_features
from fanin.initializers._periodic import siren as siren
from fanin.initializers._present import present_rows as present_rows
from fanin.initializers._presets import PRESETS as _PRESETS
from fanin.initializers._random import laplace as laplace
from fanin.initializers._random import normal as normal
from fanin.initializers._random import signs as signs
from fanin.initializers._random import truncated_normal as truncated_normal
from fanin.initializers._random import uniform as uniform
from fanin.initializers._registry import about as about
from fanin.initializers._registry import from_dict as from_dict
from fanin.initializers._registry import get as get
from fanin.initializers._registry import names as names
from fanin.initializers._registry import register as register
from fanin.initializers._registry import to_dict as to_dict
from fanin.initializers._scaling import variance_scaling as variance_scaling
from fanin.initializers._sparse import sparse as sparse
from fanin.initializers._states import chrono as chrono
from fanin.initializers._states import hippo_legs as hippo_legs
from fanin.initializers._states import log_uniform as log_uniform
from fanin.initializers._states import lru_phase as lru_phase
from fanin.initializers._states import lru_ring as lru_ring
from fanin.initializers._states import s4d_lin as s4d_lin
from fanin.initializers._states import s4d_real as s4d_real
from fanin.initializers._structured import dirac as dirac
from fanin.initializers._structured import identity as identity
from fanin.initializers._structured import zero_hadamard as zero_hadamard
from fanin.initializers._upsampling import bilinear as bilinear
from fanin.initializers._upsampling import icnr as icnr

glorot_uniform = xavier_uniform = _PRESETS["glorot_uniform"]
glorot_normal = xavier_normal = _PRESETS["glorot_normal"]
glorot_truncated_normal = xavier_truncated_normal = _PRESETS["glorot_truncated_normal"]
he_uniform = kaiming_uniform = _PRESETS["he_uniform"]
he_normal = kaiming_normal = _PRESETS["he_normal"]
he_truncated_normal = kaiming_truncated_normal = _PRESETS["he_truncated_normal"]
lecun_uniform = _PRESETS["lecun_uniform"]
lecun_normal = _PRESETS["lecun_normal"]
lecun_truncated_normal = _PRESETS["lecun_truncated_normal"]
xavier_fan_in = _PRESETS["xavier_fan_in"]
scratch_normal = _PRESETS["scratch_normal"]
siren_first = _PRESETS["siren_first"]
torch_default = _PRESETS["torch_default"]
keras_default = _PRESETS["keras_default"]
flax_default = _PRESETS["flax_default"]
eye = identity

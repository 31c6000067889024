"""Write what bench/zoo/measure.py measured into docs/zoo.md, between its marks."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.zoo import known as zoo_known
from bench.zoo.judge import SPAN

_HEAD = (
    "model | parameters | plan, s | apply, s | weights | RMS / plan | outside | streams "
    "| chains | without inputs: RMS"
)
PAGE = Path(__file__).parents[2] / "docs" / "zoo.md"
Found = dict[str, Any]


def write(lists: Mapping[str, Sequence[Found]]) -> None:
    """Each list's table of plans; sums and peers of the list "plan" alone.

    A list of which nothing was measured keeps what the page says.
    """
    text = PAGE.read_text("utf-8")
    made = tables(lists["plan"]) if lists["plan"] else {}
    for name, done in ((name, done) for name, done in lists.items() if done):
        made[name] = _table(_HEAD, map(_beside_plan, done))
        made[f"{name} share"] = _share(done) + "\n"
    for name, table in made.items():
        before, opening, rest = text.partition(f"<!-- {name} -->\n")
        _, closing, after = rest.partition(f"<!-- /{name} -->\n")
        if not opening or not closing:
            raise SystemExit(f"{PAGE.name} has no marks of {name}")
        text = before + opening + table + closing + after
    PAGE.write_text(text, "utf-8")


def tables(done: Sequence[Found]) -> dict[str, str]:
    """The tables of the page in Markdown, by the name in their marks."""
    return {
        "sums": "\n".join(_sums(done)) + "\n",
        "peers": _table(
            "model | drawn: AnyInit | s: auto | AnyInit | RMS: auto | AnyInit | own "
            "| gradients: auto | AnyInit | own",
            map(_beside_peers, done),
        ),
        "exceptions": _table("model | outside | reason", map(_exception, _exceptions(done))),
    }


def _table(head: str, rows: Iterator[Sequence[str]]) -> str:
    lines = [f"| {head} |", "|---" * len(head.split(" | ")) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def passes(one: Found) -> bool:
    """Whether a model is planned and as planned: all placed, finite, inside, no steep gradient."""
    if "error" in one:
        return False
    auto, bare = one["auto"], one["bare"]
    placed = not auto["unplaced"] and not bare["unplaced"]
    finite = auto["finite"] and bare["finite"]
    return placed and finite and not auto["outside"] and _worst(auto) <= SPAN


def _share(done: Sequence[Found]) -> str:
    good = sum(map(passes, done))
    failing = ", ".join(_name(one) for one in done if not passes(one))
    return f"{good} of {len(done)} models pass" + (f"; not: {failing}." if failing else ".")


def _beside_plan(one: Found) -> list[str]:
    if "error" in one:
        return [_name(one), f"failed: {one['error']}", *[""] * (_HEAD.count("|") - 1)]
    auto = one["auto"]
    return [
        _name(one),
        f"{one['parameters'] / 1e6:.1f} M",
        f"{auto['plan_s']:.1f}",
        f"{auto['apply_s']:.1f}",
        str(auto["weights"]),
        _range(auto["ratios"]),
        f"{len(auto['outside'])} of {2 * auto['planned']}",
        _span(auto["stream"][0]),
        _span(auto["branch"][0]),
        _range(_rms(one["bare"])),
    ]


def _beside_peers(one: Found) -> list[str]:
    auto, own, peer = one["auto"], one.get("own", {}), one.get("anyinit", {})
    drawn, seconds = "", ""
    if "error" in peer:
        drawn = f"failed: {peer['error'].partition(':')[0]}"
    elif peer:
        drawn, seconds = "{} of {}".format(*peer["covered"]), f"{peer['seconds']:.1f}"
    three = (auto, peer, own)
    return [
        _name(one),
        drawn,
        f"{auto['plan_s'] + auto['apply_s']:.1f}",
        seconds,
        *(_range(_rms(found)) for found in three),
        *(_span(_worst(found)) for found in three),
    ]


def _exceptions(done: Sequence[Found]) -> Iterator[Found]:
    for one in done:
        auto = one["auto"]
        if auto["outside"] or _worst(auto) > SPAN or one["model"] in zoo_known.SPANS:
            yield one


def _exception(one: Found) -> list[str]:
    name = one["model"]
    known = [zoo_known.OUTSIDE.get(name, (0, ""))[1], zoo_known.SPANS.get(name, "")]
    reason = "; ".join(filter(None, known)) or "not known"
    return [_name(one), f"{len(one['auto']['outside'])} of {2 * one['auto']['planned']}", reason]


def _sums(done: Sequence[Found]) -> Iterator[str]:
    """What the tables come to."""
    outside = sum(len(one["auto"]["outside"]) for one in done)
    measured = sum(2 * one["auto"]["planned"] for one in done)
    clean = sum(not one["auto"]["outside"] for one in done)
    timm = sum("/" not in one["model"] for one in done)
    yield f"- {timm} architectures of timm and {len(done) - timm} model types of transformers."
    unplaced, bare = (sum(bool(one[key]["unplaced"]) for one in done) for key in ("auto", "bare"))
    yield (
        f"- `auto` with inputs: {unplaced} models with an unplaced parameter; {clean} models with "
        f"every weight inside; {outside} of {measured} outputs outside."
    )
    endless = sum(not one["bare"]["finite"] for one in done)
    yield f"- Without inputs: {bare} models with an unplaced parameter, {endless} not finite."
    for label, key in (("`auto`", "auto"), ("AnyInit", "anyinit"), ("The models' own", "own")):
        found = [one[key] for one in done if key in one]
        if found:
            yield f"- {label}: {_summary(found)}."


def _summary(found: Sequence[Found]) -> str:
    ran = [one for one in found if "error" not in one]
    endless = sum(not one["finite"] for one in ran)
    wide = sum(_rms(one)[1] / max(_rms(one)[0], 1e-300) > 1e4 for one in ran if one["finite"])
    steep = sum(_worst(one) > SPAN for one in ran)
    words = [
        f"{len(found) - len(ran)} failed",
        f"{endless} not finite",
        f"{wide} where the largest RMS is more than 10^4 times the smallest",
        f"{steep} where gradients differ by more than 20 along a stream or chain",
    ]
    if "covered" in ran[0]:
        drawn, weights = (sum(one["covered"][i] for one in ran) for i in (0, 1))
        words.append(f"{drawn} of {weights} weights drawn")
    return f"of {len(found)} models " + ", ".join(words)


def _name(one: Found) -> str:
    return f"`{one['model']}`"


def _rms(found: Found) -> Sequence[float]:
    """The smallest and largest RMS of any weight's output, in both modes; nothing of a failure."""
    if "rms_train" not in found:
        return ()
    low, high = zip(found["rms_train"], found["rms_eval"], strict=True)
    return min(low), max(high)


def _worst(found: Found) -> float:
    return max((found[key][0] for key in ("stream", "branch") if key in found), default=math.nan)


def _range(pair: Sequence[float]) -> str:
    if not all(map(math.isfinite, pair)):
        return "not finite"
    return f"{pair[0]:.2g} to {pair[1]:.2g}" if pair else ""


def _span(ratio: float) -> str:
    return "" if math.isnan(ratio) else f"{ratio:.3g}"

"""Buffers of fresh models, which are right: how many does the proof call wrong?

    python -m bench.zoo.buffers [NAME ...]

Every model of bench/zoo/models.py as its constructor makes it, and then in bfloat16: proved beside
its modules built alone, as `audit` and `verify` do, and beside the whole built again (`build=`).
"""

import argparse
import warnings
from collections import Counter

import torch

import bench.zoo.torchvision_ops  # noqa: F401
from bench.zoo.models import LIST
from fanin.frameworks import adapter_for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=LIST.names)
    warnings.simplefilter("ignore")  # of libraries, at models that are so small
    counts: Counter[str] = Counter()
    for name in parser.parse_args().names:
        make, _ = LIST.build(name)
        model = make()
        for dtype in ("as made", "bfloat16"):
            if dtype == "bfloat16":
                model = model.to(torch.bfloat16)
            for how, build in (("alone", None), ("build=", make)):
                proofs = adapter_for(model).target(model).prove_buffers(build)
                kinds = Counter(proof.told for proof in proofs if not proof.fault)
                counts["buffers"] += len(proofs)
                counts["proved"] += kinds["buffer, as its constructor computes it"]
                wrong = [f"{proof.name}: {proof.fault}" for proof in proofs if proof.fault]
                counts["alarms"] += len(wrong)
                print(f"{name}, {dtype}, {how}: {len(proofs)}, {dict(kinds)}", flush=True)
                print(*(f"  ALARM {line}" for line in wrong), sep="\n", end="\n" if wrong else "")
        counts["models"] += 1
    print(dict(counts))


if __name__ == "__main__":
    main()

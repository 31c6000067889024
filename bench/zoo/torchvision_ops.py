"""Import this before timm: two operators that torchvision lacks beside the CPU build of torch.

They are declared and never run; nothing here detects objects.
"""

import torch

_library = torch.library.Library("torchvision", "DEF")
_library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
_library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

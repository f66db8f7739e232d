"""What an ONNX model says of its inputs and answers, for programs that know nothing of ours."""

from __future__ import annotations

import json

from compressbench.core.preprocessing import LAYOUT, MODES, PIXEL_RANGE, Preprocessing


def metadata(preprocessing: Preprocessing | None, classes: list[str] | None) -> dict[str, str]:
    """Return the model's `metadata_props`: each value is JSON. What is None is left out.

    The steps from a picture to an input, in order: `color_mode` (as PIL calls it), `resize` (height and width that the
    picture just covers, by `interpolation`), `crop` (its centre), `repeat` (of every pixel, down and across), `pad`
    (black lines: top and bottom, left and right), `size` (what that gives), `pixel_range` (of what was 0 and 255),
    `mean` and `std` of each channel, `layout`. `classes`: what the outputs are called.
    """
    said: dict[str, object] = {}
    if preprocessing is not None:
        said = {
            "color_mode": MODES[preprocessing.channels],
            "resize": preprocessing.resize,
            "interpolation": preprocessing.interpolation,
            "crop": preprocessing.crop,
            "repeat": preprocessing.repeat,
            "pad": preprocessing.padding,
            "size": preprocessing.size,
            "pixel_range": PIXEL_RANGE,
            "mean": preprocessing.mean,
            "std": preprocessing.std,
            "layout": LAYOUT,
        }
    if classes is not None:
        said["classes"] = classes
    return {key: json.dumps(value) for key, value in said.items()}

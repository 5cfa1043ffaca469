"""Writes two blocks of each type as gguf.quants decodes them: bytes, then the numbers as F32."""
import numpy as np, gguf, os, sys
from gguf import GGMLQuantizationType as Q, quants
out = sys.argv[1]; os.makedirs(out, exist_ok=True)
rng = np.random.default_rng(20250217)
scales = {"Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "F16": None, "BF16": None}
for name, at in scales.items():
    t = Q[name]
    if at is None:
        x = rng.standard_normal(8).astype(np.float32)
        raw = quants.quantize(x, t).view(np.uint8)
    else:
        n, size = gguf.GGML_QUANT_SIZES[t]
        raw = rng.integers(0, 256, (2, size), dtype=np.uint8)
        for b in range(2):
            for a in at:
                raw[b, a:a + 2] = np.array([rng.normal() / 16], dtype=np.float16).view(np.uint8)
    y = quants.dequantize(raw, t).astype(np.float32).ravel()
    with open(os.path.join(out, name + ".bin"), "wb") as f: f.write(raw.tobytes() + y.tobytes())
    print(name, raw.size, y.size, y[:3])

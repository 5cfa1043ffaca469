"""Takes from a folder of kvpress goldens what KvpressGoldensTest reads: python make_subset.py GOLDENS OUT

GOLDENS holds manifest.json and the safetensors files; OUT gets three of the files, without the tensors of entries that
are not compared, and goldens.tsv. Needs nothing but Python.
"""

import json
import os
import struct
import sys

FILES = ["gqa8x2x16-T64.safetensors", "mqa7x1x8-T33.safetensors", "mqa7x1x8-T200.safetensors"]
INPUTS = ["hidden_states", "queries_rope", "keys_rope", "values", "rope.inv_freq", "q_proj.weight", "k_proj.weight",
          "o_proj.weight", "leverage.s4.sketch", "leverage.s8.sketch", "leverage.s48.sketch", "expected_attention.average_rope"]
PRESSES = ["KnormPress", "KeyDiffPress", "StreamingLLMPress", "LagKVPress", "SnapKVPress", "TOVAPress",
           "ObservedAttentionPress", "ExpectedAttentionPress", "CapPress", "NonCausalAttnPress", "LeverageScorePress",
           "CompactorPress", "CURPress", "FinchPress", "CriticalKVPress", "AdaKVPress", "CriticalAdaKVPress",
           "ChunkKVPress", "BlockPress", "ChunkPress", "DMSPress", "ComposedPress", "PerLayerCompressionPress"]


def names(x):
    if isinstance(x, str):
        yield x
    elif isinstance(x, (list, tuple)):
        for v in x:
            yield from names(v)
    elif isinstance(x, dict):
        for v in x.values():
            yield from names(v)


def main(source, target):
    manifest = json.load(open(os.path.join(source, "manifest.json")))
    lines = ["# file\tid\tratio\tkept\tgap\tcomparable\tfault\tnoise\tthreshold"]
    for file in FILES:
        entries = [e for e in manifest["entries"] if e["file"] == file and e["press"] in PRESSES]
        raw = open(os.path.join(source, file), "rb").read()
        size = struct.unpack("<Q", raw[:8])[0]
        header = json.loads(raw[8:8 + size])
        wanted = sorted(set(INPUTS) | {n for e in entries for n in names(e["outputs"])})
        out, data = {}, b""
        for name in wanted:
            if name in header and not name.endswith(".cross_scores") and ".cross." not in name:
                a, b = header[name]["data_offsets"]
                data += b"\0" * (-len(data) % 4)
                out[name] = dict(header[name], data_offsets=[len(data), len(data) + b - a])
                data += raw[8 + size + a:8 + size + b]
        text = json.dumps(out, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        with open(os.path.join(target, file), "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + data)
        for e in entries:
            cuts = e.get("cuts") or {"": {}}
            for ratio, cut in cuts.items():
                fault = "kvpress_fault" in e
                if fault:
                    comparable = cut.get("formula_stable", False) or "formula_min_gap" in cut
                else:
                    comparable = cut.get("same_in_float64", e.get("same_in_float64", False)) and not cut.get("tie_at_cut", False)
                lines.append("\t".join(str(x) for x in (
                    file.split(".")[0], e["id"], ratio, cut.get("n_kept", ""), cut.get("formula_min_gap" if fault else "min_gap", ""),
                    int(comparable), int(fault), e.get("score_noise_float32", ""),
                    e["parameters"].get("threshold", ""))))
    open(os.path.join(target, "goldens.tsv"), "w").write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

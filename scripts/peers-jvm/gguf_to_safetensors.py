"""Writes a llama GGUF as float32 safetensors for engines that read nothing else: gguf_to_safetensors.py IN.gguf OUT_FOLDER"""
import json
import pathlib
import sys

import numpy as np
from gguf import GGUFReader, dequantize
from safetensors.numpy import save_file

reader = GGUFReader(sys.argv[1])
out = pathlib.Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)


def field(name):
    return reader.fields[name].contents()


heads = field("llama.attention.head_count")
kv_heads = field("llama.attention.head_count_kv")
LAYER = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}
OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}


def half_split(weight, n):
    """GGUF stores the rotated pairs side by side, safetensors half a head apart."""
    return weight.reshape(n, weight.shape[0] // n // 2, 2, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


tensors = {}
for tensor in reader.tensors:
    weight = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    name = tensor.name.removesuffix(".weight")
    if name.startswith("blk."):
        _, layer, part = name.split(".")
        if part in ("attn_q", "attn_k"):
            weight = half_split(weight, heads if part == "attn_q" else kv_heads)
        name = f"model.layers.{layer}.{LAYER[part]}"
    else:
        name = OUTSIDE[name]
    tensors[name + ".weight"] = np.ascontiguousarray(weight)
save_file(tensors, out / "model.safetensors")

vocabulary = field("tokenizer.ggml.tokens")
files = {
    "config.json": {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "tie_word_embeddings": True,
        "hidden_size": field("llama.embedding_length"), "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"), "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "rms_norm_eps": float(field("llama.attention.layer_norm_rms_epsilon")),
        "rope_theta": float(field("llama.rope.freq_base")), "max_position_embeddings": field("llama.context_length"),
        "vocab_size": len(vocabulary), "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "float32",
    },
    "tokenizer.json": {
        "version": "1.0", "added_tokens": [],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE", "vocab": {token: i for i, token in enumerate(vocabulary)},
            "merges": field("tokenizer.ggml.merges"),
        },
    },
    "tokenizer_config.json": {}, "generation_config.json": {},
}
for name, content in files.items():
    (out / name).write_text(json.dumps(content))
(out / "README.md").write_text("Converted for a benchmark.\n")

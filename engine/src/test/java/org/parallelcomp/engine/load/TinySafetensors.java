package org.parallelcomp.engine.load;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** Writes a folder in the layout of Hugging Face with a model of one layer. */
final class TinySafetensors {
  static final String CONFIG =
      """
      {"architectures": ["LlamaForCausalLM"], "hidden_size": 8, "num_hidden_layers": 1,
       "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 8,
       "vocab_size": 4, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
       "rope_theta": 10000.0, "tie_word_embeddings": true, "eos_token_id": 0}
      """;
  static final String TOKENIZER =
      """
      {"version": "1.0", "added_tokens": [
        {"id": 0, "content": "<end>", "special": true, "single_word": false, "lstrip": false,
         "rstrip": false, "normalized": false}],
       "normalizer": null,
       "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
         "use_regex": true},
       "post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": false,
         "trim_offsets": true, "use_regex": true},
       "model": {"type": "BPE", "vocab": {"a": 1, "b": 2, "ab": 3}, "merges": ["a b"]}}
      """;

  private TinySafetensors() {}

  static Map<String, int[]> shapes() {
    Map<String, int[]> shapes = new LinkedHashMap<>();
    String p = "model.layers.0.";
    shapes.put("model.embed_tokens.weight", new int[] {4, 8});
    shapes.put("model.norm.weight", new int[] {8});
    shapes.put(p + "input_layernorm.weight", new int[] {8});
    shapes.put(p + "self_attn.q_proj.weight", new int[] {8, 8});
    shapes.put(p + "self_attn.k_proj.weight", new int[] {4, 8});
    shapes.put(p + "self_attn.v_proj.weight", new int[] {4, 8});
    shapes.put(p + "self_attn.o_proj.weight", new int[] {8, 8});
    shapes.put(p + "post_attention_layernorm.weight", new int[] {8});
    shapes.put(p + "mlp.gate_proj.weight", new int[] {8, 8});
    shapes.put(p + "mlp.up_proj.weight", new int[] {8, 8});
    shapes.put(p + "mlp.down_proj.weight", new int[] {8, 8});
    return shapes;
  }

  /** Writes all files; the weights are the given bytes, or sound ones for null. */
  static Path write(Path folder, byte[] weights) throws IOException {
    Files.createDirectories(folder);
    Files.writeString(folder.resolve("config.json"), CONFIG);
    Files.writeString(folder.resolve("tokenizer.json"), TOKENIZER);
    Files.write(folder.resolve("model.safetensors"), weights == null ? weights(shapes()) : weights);
    return folder;
  }

  /** Returns a safetensors file of F16 tensors of these shapes. */
  static byte[] weights(Map<String, int[]> shapes) {
    var header = new StringBuilder("{\"__metadata__\":{\"format\":\"pt\"}");
    int offset = 0;
    for (var tensor : shapes.entrySet()) {
      int elements = 1;
      var extents = new StringBuilder();
      for (int extent : tensor.getValue()) {
        elements *= extent;
        extents.append(extents.isEmpty() ? "" : ",").append(extent);
      }
      header
          .append(",\"")
          .append(tensor.getKey())
          .append("\":{\"dtype\":\"F16\",\"shape\":[")
          .append(extents)
          .append("],\"data_offsets\":[")
          .append(offset)
          .append(',')
          .append(offset += 2 * elements)
          .append("]}");
    }
    byte[] json = header.append('}').toString().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + json.length + offset)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .array();
  }
}

package org.parallelcomp.engine.load;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;

/**
 * The weights that the decoder knows, by their GGUF names, and what shapes they must have.
 *
 * <pre>
 * token_embd.weight                [vocab, hiddenDim]
 * output_norm.weight               [hiddenDim]
 * output.weight                    [vocab, hiddenDim]        optional: else the embedding
 * blk.N.attn_norm.weight           [hiddenDim]
 * blk.N.attn_q.weight  .bias       [queryHeads x headDim, hiddenDim]      bias optional
 * blk.N.attn_k.weight  .bias       [kvHeads x headDim, hiddenDim]         bias optional
 * blk.N.attn_v.weight  .bias       [kvHeads x headDim, hiddenDim]         bias optional
 * blk.N.attn_output.weight         [hiddenDim, queryHeads x headDim]
 * blk.N.attn_q_norm.weight         [headDim]                 optional
 * blk.N.attn_k_norm.weight         [headDim]                 optional
 * blk.N.ffn_norm.weight            [hiddenDim]
 * blk.N.ffn_gate.weight            [feedForwardDim, hiddenDim]
 * blk.N.ffn_up.weight              [feedForwardDim, hiddenDim]
 * blk.N.ffn_down.weight            [hiddenDim, feedForwardDim]
 * </pre>
 */
final class Weights {
  private static final int SHOWN = 6;
  private static final String HF_LAYER = "model.layers.";

  private static final Map<String, String> HF_MODEL =
      Map.of(
          "model.embed_tokens.weight", "token_embd.weight",
          "model.norm.weight", "output_norm.weight",
          "lm_head.weight", "output.weight");

  private static final Map<String, String> HF_IN_LAYER =
      Map.ofEntries(
          Map.entry("input_layernorm", "attn_norm"),
          Map.entry("self_attn.q_proj", "attn_q"),
          Map.entry("self_attn.k_proj", "attn_k"),
          Map.entry("self_attn.v_proj", "attn_v"),
          Map.entry("self_attn.o_proj", "attn_output"),
          Map.entry("self_attn.q_norm", "attn_q_norm"),
          Map.entry("self_attn.k_norm", "attn_k_norm"),
          Map.entry("post_attention_layernorm", "ffn_norm"),
          Map.entry("mlp.gate_proj", "ffn_gate"),
          Map.entry("mlp.up_proj", "ffn_up"),
          Map.entry("mlp.down_proj", "ffn_down"));

  private Weights() {}

  /** Returns the element types that a weight may have. */
  static List<DType> supportedTypes() {
    List<DType> types = new ArrayList<>(List.of(DType.values()));
    types.remove(DType.I32);
    return types;
  }

  /** Returns the GGUF name of a weight of a Hugging Face model, or null if it has none. */
  static @Nullable String ggufName(String name) {
    if (!name.startsWith(HF_LAYER)) {
      return HF_MODEL.get(name);
    }
    int dot = name.indexOf('.', HF_LAYER.length());
    int end = name.lastIndexOf('.');
    if (dot < 0 || end <= dot) {
      return null;
    }
    String part = HF_IN_LAYER.get(name.substring(dot + 1, end));
    return part == null
        ? null
        : "blk." + name.substring(HF_LAYER.length(), dot) + "." + part + name.substring(end);
  }

  /**
   * Checks that exactly the weights are there that the decoder needs, in the right shapes.
   *
   * @throws InferenceException one message that lists what is missing, misshapen or unknown
   */
  static void check(Path path, ModelConfig config, Map<String, WeightEntry> weights) {
    // Before any loop over the layers, whose number a damaged file can make up.
    if (config.layers() > weights.size()) {
      throw new InferenceException(
          ErrorCode.CORRUPT_FILE,
          "'"
              + path
              + "' should hold "
              + config.layers()
              + " layers, but has only "
              + weights.size()
              + " weights.");
    }
    Map<String, Shape> known = new LinkedHashMap<>();
    List<String> problems = new ArrayList<>();
    for (Expected expected : expected(config)) {
      known.put(expected.name, expected.shape);
      WeightEntry weight = weights.get(expected.name);
      if (weight == null) {
        if (!expected.optional) {
          problems.add("missing " + expected.name + " " + expected.shape);
        }
      } else if (!weight.shape().equals(expected.shape)) {
        problems.add(
            expected.name + " has the shape " + weight.shape() + " instead of " + expected.shape);
      }
    }
    if (!problems.isEmpty()) {
      throw new InferenceException(
          ErrorCode.CORRUPT_FILE,
          "The weights of '" + path + "' do not fit its configuration: " + listed(problems) + ".");
    }
    List<String> unknown = weights.keySet().stream().filter(n -> !known.containsKey(n)).toList();
    if (!unknown.isEmpty()) {
      throw new InferenceException(
          ErrorCode.UNSUPPORTED_MODEL,
          "'"
              + path
              + "' holds weights that the decoder for "
              + config.architecture()
              + " does not know: "
              + listed(unknown)
              + ".");
    }
  }

  private record Expected(String name, Shape shape, boolean optional) {}

  private static List<Expected> expected(ModelConfig config) {
    long hidden = config.hiddenDim();
    long queries = (long) config.queryHeads() * config.headDim();
    long keys = (long) config.kvHeads() * config.headDim();
    long inner = config.feedForwardDim();
    List<Expected> all = new ArrayList<>();
    all.add(new Expected("token_embd.weight", Shape.of(config.vocab(), hidden), false));
    all.add(new Expected("output_norm.weight", Shape.of(hidden), false));
    all.add(new Expected("output.weight", Shape.of(config.vocab(), hidden), true));
    for (int layer = 0; layer < config.layers(); layer++) {
      String p = "blk." + layer + ".";
      all.add(new Expected(p + "attn_norm.weight", Shape.of(hidden), false));
      all.add(new Expected(p + "attn_q.weight", Shape.of(queries, hidden), false));
      all.add(new Expected(p + "attn_q.bias", Shape.of(queries), true));
      all.add(new Expected(p + "attn_k.weight", Shape.of(keys, hidden), false));
      all.add(new Expected(p + "attn_k.bias", Shape.of(keys), true));
      all.add(new Expected(p + "attn_v.weight", Shape.of(keys, hidden), false));
      all.add(new Expected(p + "attn_v.bias", Shape.of(keys), true));
      all.add(new Expected(p + "attn_output.weight", Shape.of(hidden, queries), false));
      all.add(new Expected(p + "attn_q_norm.weight", Shape.of(config.headDim()), true));
      all.add(new Expected(p + "attn_k_norm.weight", Shape.of(config.headDim()), true));
      all.add(new Expected(p + "ffn_norm.weight", Shape.of(hidden), false));
      all.add(new Expected(p + "ffn_gate.weight", Shape.of(inner, hidden), false));
      all.add(new Expected(p + "ffn_up.weight", Shape.of(inner, hidden), false));
      all.add(new Expected(p + "ffn_down.weight", Shape.of(hidden, inner), false));
    }
    return all;
  }

  private static String listed(List<String> all) {
    String shown = String.join("; ", all.subList(0, Math.min(SHOWN, all.size())));
    return all.size() <= SHOWN ? shown : shown + "; and " + (all.size() - SHOWN) + " more";
  }
}

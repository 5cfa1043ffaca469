package org.parallelcomp.engine.load;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * A folder in the layout of Hugging Face as a model.
 *
 * <pre>
 * config.json                     the numbers of the decoder
 * model.safetensors               the weights, or
 * model.safetensors.index.json    which file holds which weight
 * tokenizer.json                  the tokenizer
 * tokenizer_config.json           begin-of-sequence, chat template      optional
 * chat_template.jinja             chat template; goes before the above  optional
 * generation_config.json          more stop tokens                      optional
 * </pre>
 */
final class HuggingFaceFolder {
  private static final String CONFIG = "config.json";
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final String TOKENIZER = "tokenizer.json";
  private static final List<String> ARCHITECTURES =
      List.of("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM");

  private final Path folder;
  private final JsonNode config;
  private final Checks checks;

  private HuggingFaceFolder(Path folder) {
    this.folder = folder;
    this.config = SmallFiles.json(folder.resolve(CONFIG));
    this.checks = new Checks(folder.resolve(CONFIG));
  }

  static ModelSource open(Path folder) {
    boolean weights = Files.exists(folder.resolve(SINGLE)) || Files.exists(folder.resolve(INDEX));
    var missing = new TreeSet<String>();
    if (!Files.exists(folder.resolve(CONFIG))) {
      missing.add(CONFIG);
    }
    if (!Files.exists(folder.resolve(TOKENIZER))) {
      missing.add(TOKENIZER);
    }
    if (!weights) {
      missing.add(SINGLE + " (or " + INDEX + ")");
    }
    if (!missing.isEmpty()) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE,
          "The folder '" + folder + "' is no model: it lacks " + String.join(", ", missing) + ".");
    }
    return new HuggingFaceFolder(folder).source();
  }

  private ModelSource source() {
    String architecture = config.path("architectures").path(0).asText("");
    if (!ARCHITECTURES.contains(architecture)) {
      throw checks.unsupported(
          "names the architecture '"
              + architecture
              + "'; supported are "
              + String.join(", ", ARCHITECTURES));
    }
    if (config.hasNonNull("quantization_config")) {
      throw checks.unsupported(
          "says that the weights are quantised ("
              + config.path("quantization_config").path("quant_method").asText("?")
              + "); supported in safetensors are F32, F16, BF16");
    }
    String activation = config.path("hidden_act").asText("silu");
    if (!activation.equals("silu")) {
      throw checks.unsupported("names the activation '" + activation + "'; supported is silu");
    }
    int queryHeads = positive("num_attention_heads");
    int hiddenDim = positive("hidden_size");
    int headDim = config.hasNonNull("head_dim") ? positive("head_dim") : hiddenDim / queryHeads;
    ModelConfig plain =
        new ModelConfig(
            architecture,
            positive("num_hidden_layers"),
            hiddenDim,
            queryHeads,
            config.hasNonNull("num_key_value_heads") ? positive("num_key_value_heads") : queryHeads,
            headDim,
            positive("intermediate_size"),
            positive("vocab_size"),
            trainedWindow(architecture),
            (float) checks.positiveReal("rms_norm_eps", real(config, "rms_norm_eps", 1e-6)),
            new RopeConfig(Rope.Style.HALF_SPLIT, new float[0]));
    double rotaryShare = real(ropeSettings(), "partial_rotary_factor", 1);
    if (!config.path("partial_rotary_factor").isMissingNode()) {
      rotaryShare = real(config, "partial_rotary_factor", 1);
    }
    int rotaryDims = (int) (headDim * rotaryShare);
    checks.positive("number of rotated dimensions", (long) rotaryDims);
    checks.consistent(plain, rotaryDims);
    Map<String, WeightEntry> weights = weights();
    Weights.check(folder, plain, weights);
    return new ModelSource(
        folder,
        String.valueOf(folder.toAbsolutePath().normalize().getFileName()),
        "safetensors",
        new ModelConfig(
            architecture,
            plain.layers(),
            hiddenDim,
            queryHeads,
            plain.kvHeads(),
            headDim,
            plain.feedForwardDim(),
            plain.vocab(),
            plain.trainedWindow(),
            plain.rmsEpsilon(),
            new RopeConfig(Rope.Style.HALF_SPLIT, inverseFrequencies(rotaryDims))),
        weights,
        new HuggingFaceTokenizerFiles(folder).definition(plain.vocab(), config),
        Sidecar.inFolder(folder));
  }

  private int trainedWindow(String architecture) {
    int window = positive("max_position_embeddings");
    boolean slides =
        switch (architecture) {
          case "MistralForCausalLM" -> true;
          case "Qwen2ForCausalLM", "Qwen3ForCausalLM" ->
              config.path("use_sliding_window").asBoolean(false);
          default -> false;
        };
    return slides && config.hasNonNull("sliding_window")
        ? Math.min(window, positive("sliding_window"))
        : window;
  }

  /** Newer configurations keep all of the rotary embedding in one object. */
  private JsonNode ropeSettings() {
    return config.hasNonNull("rope_parameters")
        ? config.path("rope_parameters")
        : config.path("rope_scaling");
  }

  private float[] inverseFrequencies(int rotaryDims) {
    JsonNode rope = ropeSettings();
    double theta = real(rope, "rope_theta", real(config, "rope_theta", 10000));
    float[] plain = RopeFrequencies.plain(checks.positiveReal("rope_theta", theta), rotaryDims);
    String type = rope.path("rope_type").asText(rope.path("type").asText("default"));
    return switch (type) {
      case "default" -> plain;
      case "linear" -> RopeFrequencies.linear(plain, ropeNumber("factor"));
      case "llama3" ->
          RopeFrequencies.llama3(
              plain,
              ropeNumber("factor"),
              ropeNumber("low_freq_factor"),
              ropeNumber("high_freq_factor"),
              ropeNumber("original_max_position_embeddings"));
      default ->
          throw checks.unsupported(
              "scales its positions by '" + type + "'; supported are default, linear, llama3");
    };
  }

  private double ropeNumber(String name) {
    return checks.positiveReal("rope " + name, real(ropeSettings(), name, Double.NaN));
  }

  private Map<String, WeightEntry> weights() {
    Map<String, WeightEntry> all = new HashMap<>();
    if (!Files.exists(folder.resolve(INDEX))) {
      all.putAll(SafetensorsFile.read(folder.resolve(SINGLE)).tensors());
    } else {
      Map<String, SafetensorsFile> shards = new HashMap<>();
      for (var entry : SmallFiles.json(folder.resolve(INDEX)).path("weight_map").properties()) {
        String shard = entry.getValue().asText("");
        if (shard.isEmpty() || !shard.equals(String.valueOf(folder.resolve(shard).getFileName()))) {
          throw FileCursor.corrupt(
              folder.resolve(INDEX), 0, "'" + shard + "' is no file name in the folder");
        }
        WeightEntry weight =
            shards
                .computeIfAbsent(shard, s -> SafetensorsFile.read(folder.resolve(s)))
                .tensors()
                .get(entry.getKey());
        if (weight == null) {
          throw FileCursor.corrupt(
              folder.resolve(shard), 8, "the index promises the tensor '" + entry.getKey() + "'");
        }
        all.put(entry.getKey(), weight);
      }
    }
    // A buffer of old checkpoints that is computed here; and a copy of the embedding.
    all.keySet().removeIf(name -> name.endsWith("rotary_emb.inv_freq"));
    boolean tied = config.path("tie_word_embeddings").asBoolean(false);
    if (tied) {
      all.remove("lm_head.weight");
    }
    Map<String, WeightEntry> named = new HashMap<>();
    all.forEach(
        (name, weight) -> {
          String gguf = Weights.ggufName(name);
          named.put(gguf == null ? name : gguf, weight);
        });
    if (!tied && !named.containsKey("output.weight")) {
      throw checks.corrupt("does not tie the embeddings, but there is no lm_head.weight");
    }
    return named;
  }

  private int positive(String name) {
    JsonNode value = config.path(name);
    return checks.positive(
        name, value.isIntegralNumber() && value.canConvertToLong() ? value.longValue() : null);
  }

  private static double real(@Nullable JsonNode node, String name, double otherwise) {
    return node == null ? otherwise : node.path(name).asDouble(otherwise);
  }
}

package org.parallelcomp.engine.load;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;

/** A GGUF file as a model: its metadata keys to the numbers of the decoder. */
final class GgufModel {
  private static final String ROPE_FACTORS = "rope_freqs.weight";

  private final GgufFile file;
  private final Checks checks;
  private final String architecture;

  private GgufModel(GgufFile file, String architecture) {
    this.file = file;
    this.checks = new Checks(file.path());
    this.architecture = architecture;
  }

  static ModelSource open(Path path) {
    GgufFile file = GgufFile.read(path);
    String architecture = file.string("general.architecture");
    if (architecture == null) {
      throw new Checks(path).corrupt("does not name its general.architecture");
    }
    return new GgufModel(file, architecture).source();
  }

  private ModelSource source() {
    Rope.Style style =
        switch (architecture) {
          // Converters permute the rows of q and k so that neighbours form the pairs.
          case "llama" -> Rope.Style.INTERLEAVED;
          case "qwen2", "qwen3" -> Rope.Style.HALF_SPLIT;
          default ->
              throw checks.unsupported(
                  "has the architecture '"
                      + architecture
                      + "'; supported in GGUF files are llama, qwen2, qwen3");
        };
    if (orElse(file.integer(key("expert_count")), 0) > 0) {
      throw checks.unsupported("is a mixture of experts, which is not supported");
    }
    int hiddenDim = positive("embedding_length");
    int queryHeads = positive("attention.head_count");
    Long kvHeads = file.integer(key("attention.head_count_kv"));
    Long keyLength = file.integer(key("attention.key_length"));
    int headDim =
        keyLength == null
            ? hiddenDim / queryHeads
            : checks.positive(key("attention.key_length"), keyLength);
    Long valueLength = file.integer(key("attention.value_length"));
    if (valueLength != null && valueLength != headDim) {
      throw checks.unsupported("has values of another length than keys, which is not supported");
    }
    Map<String, WeightEntry> weights = new HashMap<>(file.tensors());
    WeightEntry ropeFactors = weights.remove(ROPE_FACTORS);
    WeightEntry embedding = weights.get("token_embd.weight");
    if (embedding == null || embedding.shape().rank() != 2) {
      throw checks.corrupt("has no matrix token_embd.weight");
    }
    Long rotary = file.integer(key("rope.dimension_count"));
    int rotaryDims =
        rotary == null ? headDim : checks.positive(key("rope.dimension_count"), rotary);
    Double epsilon = file.number(key("attention.layer_norm_rms_epsilon"));
    ModelConfig config =
        new ModelConfig(
            architecture,
            positive("block_count"),
            hiddenDim,
            queryHeads,
            kvHeads == null ? queryHeads : checks.positive(key("attention.head_count_kv"), kvHeads),
            headDim,
            positive("feed_forward_length"),
            checks.positive("vocabulary", embedding.shape().dim(0)),
            trainedWindow(),
            (float)
                checks.positiveReal(
                    key("attention.layer_norm_rms_epsilon"), epsilon == null ? 1e-5 : epsilon),
            new RopeConfig(style, new float[0]));
    checks.consistent(config, rotaryDims);
    Weights.check(file.path(), config, weights);
    TokenizerDefinition tokenizer = new GgufTokenizer(file).definition(config.vocab());
    return new ModelSource(
        file.path(),
        name(),
        "GGUF v" + file.version(),
        config.withRope(new RopeConfig(style, inverseFrequencies(rotaryDims, ropeFactors))),
        weights,
        tokenizer,
        Sidecar.besideFile(file.path()));
  }

  private String name() {
    String name = file.string("general.name");
    return name != null && !name.isBlank()
        ? name
        : String.valueOf(file.path().getFileName()).replaceFirst("(?i)[.]gguf$", "");
  }

  private int trainedWindow() {
    int window = positive("context_length");
    Long sliding = file.integer(key("attention.sliding_window"));
    return sliding != null && sliding > 0 ? (int) Math.min(window, sliding) : window;
  }

  private float[] inverseFrequencies(int rotaryDims, @Nullable WeightEntry factors) {
    Double theta = file.number(key("rope.freq_base"));
    float[] plain =
        RopeFrequencies.plain(
            theta == null ? 10000 : checks.positiveReal(key("rope.freq_base"), theta), rotaryDims);
    float[] scaled = factors == null ? plain : RopeFrequencies.divided(plain, read(factors, plain));
    String type = file.string(key("rope.scaling.type"));
    Double factor = file.number(key("rope.scaling.factor"));
    if (factor == null) {
      factor = file.number(key("rope.scale_linear"));
    }
    if (type != null && !type.equals("linear") && !type.equals("none")) {
      throw checks.unsupported(
          "scales its positions by '" + type + "'; supported are none, linear and " + ROPE_FACTORS);
    }
    if (factor == null || "none".equals(type)) {
      return scaled;
    }
    return RopeFrequencies.linear(scaled, checks.positiveReal(key("rope.scaling.factor"), factor));
  }

  /** Reads the factors of Llama 3.1's scaling, one per pair. */
  private float[] read(WeightEntry factors, float[] plain) {
    if (factors.dtype() != DType.F32 || !factors.shape().equals(Shape.of(plain.length))) {
      throw checks.corrupt(
          "has "
              + ROPE_FACTORS
              + " of shape "
              + factors.shape()
              + " "
              + factors.dtype()
              + " instead of ["
              + plain.length
              + "] F32");
    }
    try (FileChannel channel = FileChannel.open(file.path(), StandardOpenOption.READ)) {
      var cursor = new FileCursor(file.path(), channel);
      cursor.seek(factors.region().offsetBytes());
      float[] values = new float[plain.length];
      for (int i = 0; i < values.length; i++) {
        values[i] = Float.intBitsToFloat(cursor.i32(ROPE_FACTORS));
        checks.positiveReal(ROPE_FACTORS, values[i]);
      }
      return values;
    } catch (IOException e) {
      throw SmallFiles.unreadable(file.path(), e);
    }
  }

  /**
   * @throws InferenceException if the number is missing or impossible
   */
  private int positive(String name) {
    return checks.positive(key(name), file.integer(key(name)));
  }

  private String key(String name) {
    return architecture + "." + name;
  }

  private static long orElse(@Nullable Long value, long otherwise) {
    return value == null ? otherwise : value;
  }
}

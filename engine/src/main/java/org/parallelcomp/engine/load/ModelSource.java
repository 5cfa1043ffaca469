package org.parallelcomp.engine.load;

import java.nio.file.Path;
import java.util.Map;
import org.parallelcomp.engine.PromptForm;

/**
 * A model as its files describe it; no weight has been read.
 *
 * @param path the file or folder that was opened
 * @param name the model's name
 * @param format "GGUF v3" or "safetensors"
 * @param config the numbers that drive the decoder
 * @param weights every weight by its GGUF name
 * @param tokenizer the tokenizer as data
 * @param form the words around text and question that suit the model
 */
public record ModelSource(
    Path path,
    String name,
    String format,
    ModelConfig config,
    Map<String, WeightEntry> weights,
    TokenizerDefinition tokenizer,
    PromptForm form) {
  public ModelSource {
    weights = Map.copyOf(weights);
  }

  /** Returns the bytes of all weights. */
  public long weightBytes() {
    return weights.values().stream().mapToLong(weight -> weight.region().sizeBytes()).sum();
  }

  /** Returns the numbers in all weights. */
  public long parameters() {
    return weights.values().stream().mapToLong(weight -> weight.shape().elements()).sum();
  }
}

package org.parallelcomp.engine.load;

import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * How byte-level BPE cuts a text into words before it merges, by the names of GGUF. The patterns
 * are those of the models' own tokenizers; text is not normalised, as in llama.cpp. In all of them
 * a blank behind something else begins a new word.
 *
 * @param digitsFirst whether every digit is cut off before the pattern is applied
 * @param pattern the pattern that words match
 * @param ignoreMerges whether a word that is a token needs no merges
 * @param addsBegin whether prompts begin with the begin-of-sequence token if the file does not say
 */
record PreTokenizer(boolean digitsFirst, String pattern, boolean ignoreMerges, boolean addsBegin) {
  private static final String GPT2_PATTERN =
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
  private static final String LLAMA3_PATTERN =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}"
          + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
  private static final String TEKKEN_PATTERN =
      "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
          + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+"
          + "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}"
          + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  private static final PreTokenizer GPT2 = new PreTokenizer(false, GPT2_PATTERN, false, false);
  private static final PreTokenizer DIGITS_GPT2 =
      new PreTokenizer(true, GPT2_PATTERN, false, false);
  private static final PreTokenizer LLAMA3 = new PreTokenizer(false, LLAMA3_PATTERN, true, true);
  private static final PreTokenizer QWEN2 =
      new PreTokenizer(false, LLAMA3_PATTERN.replace("{1,3}", ""), false, false);
  private static final PreTokenizer TEKKEN = new PreTokenizer(false, TEKKEN_PATTERN, true, true);

  private static final Map<String, PreTokenizer> BY_NAME = byName();

  /** Returns the one of that name, or null if there is none. */
  static @Nullable PreTokenizer named(String name) {
    return BY_NAME.get(name);
  }

  static Collection<PreTokenizer> all() {
    return BY_NAME.values();
  }

  static Set<String> names() {
    return BY_NAME.keySet();
  }

  private static Map<String, PreTokenizer> byName() {
    Map<PreTokenizer, List<String>> names =
        Map.of(
            GPT2, List.of("default", "gpt-2", "gpt2", "mpt", "olmo", "phi-2", "jais"),
            DIGITS_GPT2, List.of("smollm", "starcoder", "refact", "command-r", "codeshell"),
            LLAMA3, List.of("llama-bpe", "llama3", "llama-v3", "smaug-bpe"),
            QWEN2, List.of("qwen2", "stablelm2", "deepseek-r1-qwen"),
            TEKKEN, List.of("tekken"));
    Map<String, PreTokenizer> byName = new TreeMap<>();
    names.forEach((kind, all) -> all.forEach(n -> byName.put(n, kind)));
    return Collections.unmodifiableMap(byName);
  }
}

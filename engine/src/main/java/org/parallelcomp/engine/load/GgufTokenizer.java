package org.parallelcomp.engine.load;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * The tokenizer in the metadata of a GGUF file, turned into the JSON form of the tokenizers
 * library.
 *
 * <pre>
 * tokenizer.ggml.model        "gpt2": byte-level BPE; "llama": SentencePiece BPE with byte fallback
 * tokenizer.ggml.pre          how byte-level BPE splits text into words
 * tokenizer.ggml.tokens       the text of each token
 * tokenizer.ggml.token_type   1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
 * tokenizer.ggml.merges       "left right", best first ("gpt2")
 * tokenizer.ggml.scores       the higher the earlier a token is merged ("llama")
 * </pre>
 */
final class GgufTokenizer {
  private static final String P = "tokenizer.ggml.";
  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;
  private static final int BYTE = 6;

  /** Longer SentencePiece tokens would make deriving the merges quadratic in their length. */
  private static final int MAX_PIECE = 256;

  private final GgufFile file;
  private final Checks checks;

  GgufTokenizer(GgufFile file) {
    this.file = file;
    this.checks = new Checks(file.path());
  }

  TokenizerDefinition definition(int vocab) {
    String model = file.string(P + "model");
    String[] tokens = file.strings(P + "tokens");
    if (model == null || tokens == null) {
      throw checks.corrupt("holds no tokenizer (" + P + "model and " + P + "tokens)");
    }
    if (tokens.length > vocab) {
      throw checks.corrupt(
          "has " + tokens.length + " tokens, but embeddings for " + vocab + " only");
    }
    long[] types = file.integers(P + "token_type");
    if (types != null && types.length != tokens.length) {
      throw checks.corrupt(
          "has " + tokens.length + " tokens, but " + types.length + " token types");
    }
    Map<String, Integer> ids = ids(tokens);
    Map<String, Integer> special = new LinkedHashMap<>();
    for (int i = 0; types != null && i < types.length; i++) {
      if ((types[i] == CONTROL || types[i] == USER_DEFINED) && !tokens[i].isEmpty()) {
        special.put(tokens[i], i);
      }
    }
    String json;
    String description;
    boolean addsBegin;
    if (model.equals("gpt2")) {
      String pre = file.string(P + "pre");
      PreTokenizer split = PreTokenizer.named(pre == null ? "default" : pre);
      if (split == null) {
        throw checks.unsupported(
            "splits words in the way '"
                + pre
                + "'; supported are "
                + String.join(", ", PreTokenizer.names()));
      }
      json = TokenizerJson.byteLevel(ids, merges(ids), split);
      description = "byte-level BPE (" + (pre == null ? "default" : pre) + ")";
      addsBegin = split.addsBegin();
    } else if (model.equals("llama")) {
      Boolean space = file.bool(P + "add_space_prefix");
      json =
          TokenizerJson.sentencePiece(
              ids, derivedMerges(tokens, types, ids), unknown(tokens), space == null || space);
      description = "SentencePiece BPE";
      addsBegin = true;
    } else {
      throw checks.unsupported(
          "has a tokenizer of the kind '" + model + "'; supported are gpt2, llama");
    }
    Boolean stated = file.bool(P + "add_bos_token");
    Integer begin = id("bos_token_id", tokens.length);
    Integer end = id("eos_token_id", tokens.length);
    Integer endOfTurn = id("eot_token_id", tokens.length);
    Set<Integer> stops = StopTokens.byName(special);
    if (end != null) {
      stops.add(end);
    }
    if (endOfTurn != null) {
      stops.add(endOfTurn);
    }
    return new TokenizerDefinition(
        json,
        special,
        (stated == null ? addsBegin : stated) ? begin : null,
        stops,
        description + ", " + tokens.length + " tokens",
        file.string("tokenizer.chat_template"));
  }

  private Map<String, Integer> ids(String[] tokens) {
    Map<String, Integer> ids = LinkedHashMap.newLinkedHashMap(tokens.length);
    for (int i = 0; i < tokens.length; i++) {
      Integer before = ids.putIfAbsent(tokens[i], i);
      if (before != null) {
        throw checks.corrupt("has the same text for the tokens " + before + " and " + i);
      }
    }
    return ids;
  }

  private String[] merges(Map<String, Integer> ids) {
    String[] merges = file.strings(P + "merges");
    if (merges == null) {
      throw checks.corrupt("holds no " + P + "merges");
    }
    for (int i = 0; i < merges.length; i++) {
      int space = merges[i].indexOf(' ', 1);
      if (space < 0
          || !ids.containsKey(merges[i].substring(0, space))
          || !ids.containsKey(merges[i].substring(space + 1))
          || !ids.containsKey(merges[i].substring(0, space) + merges[i].substring(space + 1))) {
        throw checks.corrupt("has a merge (number " + i + ") that is not of two tokens into one");
      }
    }
    return merges;
  }

  /**
   * Derives merges from scores as Hugging Face's converter of SentencePiece models does: every way
   * to cut a token into two tokens, best score first. Control tokens are left out, so that no text
   * can be merged into one.
   */
  private String[] derivedMerges(
      String[] tokens, long @Nullable [] types, Map<String, Integer> ids) {
    double[] scores = file.numbers(P + "scores");
    if (scores == null || scores.length != tokens.length || types == null) {
      throw checks.corrupt("needs one score and one type for each token");
    }
    record Merge(String left, String right, double score) {
      int leftLength() {
        return left.codePointCount(0, left.length());
      }

      int rightLength() {
        return right.codePointCount(0, right.length());
      }
    }

    Set<String> parts = new HashSet<>();
    for (int i = 0; i < tokens.length; i++) {
      if (isText(types[i])) {
        parts.add(tokens[i]);
      }
    }
    List<Merge> merges = new ArrayList<>();
    for (int i = 0; i < tokens.length; i++) {
      String token = tokens[i];
      if (!isText(types[i])) {
        continue;
      }
      if (token.length() > MAX_PIECE) {
        throw checks.unsupported(
            "has a token (" + i + ") of more than " + MAX_PIECE + " characters");
      }
      List<Merge> cuts = new ArrayList<>();
      for (int at = 1; at < token.length(); at++) {
        if (Character.isLowSurrogate(token.charAt(at))) {
          continue;
        }
        String left = token.substring(0, at);
        String right = token.substring(at);
        if (parts.contains(left) && parts.contains(right)) {
          cuts.add(new Merge(left, right, scores[i]));
        }
      }
      cuts.sort(
          Comparator.<Merge>comparingInt(m -> ids.get(m.left))
              .thenComparingInt(m -> ids.get(m.right)));
      merges.addAll(cuts);
    }
    merges.sort(
        Comparator.comparingDouble(Merge::score)
            .thenComparingInt(Merge::leftLength)
            .thenComparingInt(Merge::rightLength)
            .reversed());
    return merges.stream().map(m -> m.left + " " + m.right).toArray(String[]::new);
  }

  private static boolean isText(long type) {
    return type != UNKNOWN && type != CONTROL && type != BYTE;
  }

  private String unknown(String[] tokens) {
    Integer id = id("unknown_token_id", tokens.length);
    return tokens.length == 0 ? "" : tokens[id == null ? 0 : id];
  }

  private @Nullable Integer id(String key, int tokens) {
    Long id = file.integer(P + key);
    if (id == null) {
      return null;
    }
    if (id < 0 || id >= tokens) {
      throw new InferenceException(
          ErrorCode.CORRUPT_FILE,
          "'"
              + file.path()
              + "' names the token "
              + id
              + " as its "
              + key
              + ", but has only "
              + tokens
              + " tokens.");
    }
    return id.intValue();
  }
}

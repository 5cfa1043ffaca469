package org.parallelcomp.engine.load;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * tokenizer.json and the files beside it. Special tokens are taken out of the list of added tokens
 * and kept in the vocabulary, so that they have their ids and texts but are never recognised in a
 * text.
 */
final class HuggingFaceTokenizerFiles {
  private final Path folder;
  private final Path path;
  private final Checks checks;

  HuggingFaceTokenizerFiles(Path folder) {
    this.folder = folder;
    this.path = folder.resolve("tokenizer.json");
    this.checks = new Checks(path);
  }

  TokenizerDefinition definition(int vocab, JsonNode modelConfig) {
    ObjectNode tokenizer = (ObjectNode) SmallFiles.json(path);
    String kind = tokenizer.path("model").path("type").asText("BPE");
    if (!kind.equals("BPE") || !(tokenizer.path("model").path("vocab") instanceof ObjectNode ids)) {
      throw checks.unsupported("is a tokenizer of the kind '" + kind + "'; supported is BPE");
    }
    Map<String, Integer> added = new LinkedHashMap<>();
    Map<String, Integer> special = takeSpecial(tokenizer, ids, added, vocab);
    dropMergesInto(special, (ObjectNode) tokenizer.path("model"));
    JsonNode postProcessor = tokenizer.path("post_processor").deepCopy();
    tokenizer.putNull("post_processor");
    tokenizer.putNull("truncation");
    tokenizer.putNull("padding");
    JsonNode settings = optional("tokenizer_config.json");
    Set<Integer> stops = StopTokens.byName(special);
    addIds(modelConfig.path("eos_token_id"), vocab, stops);
    addIds(optional("generation_config.json").path("eos_token_id"), vocab, stops);
    Integer end = added.get(tokenText(settings.path("eos_token")));
    if (end != null) {
      stops.add(end);
    }
    return new TokenizerDefinition(
        written(tokenizer),
        special,
        begin(settings, postProcessor, added),
        stops,
        kind + ", " + ids.size() + " tokens",
        chatTemplate(settings));
  }

  /** Removes special tokens from the added ones; gives every added one its id in the vocabulary. */
  private Map<String, Integer> takeSpecial(
      ObjectNode tokenizer, ObjectNode ids, Map<String, Integer> added, int vocab) {
    Map<String, Integer> special = new LinkedHashMap<>();
    ArrayNode kept = SmallFiles.JSON.createArrayNode();
    for (JsonNode token : tokenizer.path("added_tokens")) {
      String text = token.path("content").asText("");
      int id = token.path("id").asInt(-1);
      if (text.isEmpty() || id < 0 || id >= vocab) {
        throw checks.corrupt("has an added token " + token + " outside of the vocabulary");
      }
      // The library numbers added tokens anew unless the vocabulary has them.
      ids.put(text, id);
      added.put(text, id);
      if (token.path("special").asBoolean(false)) {
        special.put(text, id);
      } else {
        kept.add(token);
      }
    }
    tokenizer.set("added_tokens", kept);
    return special;
  }

  private static void dropMergesInto(Map<String, Integer> special, ObjectNode model) {
    if (model.path("merges") instanceof ArrayNode merges) {
      for (int i = merges.size() - 1; i >= 0; i--) {
        JsonNode merge = merges.get(i);
        String whole =
            merge.isArray()
                ? merge.path(0).asText() + merge.path(1).asText()
                : merge.asText().replace(" ", "");
        if (special.containsKey(whole)) {
          merges.remove(i);
        }
      }
    }
  }

  /** What the settings say; or else the token that the file's own post-processor puts first. */
  private static @Nullable Integer begin(
      JsonNode settings, JsonNode postProcessor, Map<String, Integer> added) {
    if (settings.path("add_bos_token").isBoolean()) {
      return settings.path("add_bos_token").booleanValue()
          ? added.get(tokenText(settings.path("bos_token")))
          : null;
    }
    if (postProcessor.path("type").asText("").equals("Sequence")) {
      for (JsonNode part : postProcessor.path("processors")) {
        Integer begin = begin(settings, part, added);
        if (begin != null) {
          return begin;
        }
      }
    }
    JsonNode first = postProcessor.path("single").path(0).path("SpecialToken").path("id");
    return first.isTextual() ? added.get(first.textValue()) : null;
  }

  private @Nullable String chatTemplate(JsonNode settings) {
    Path file = folder.resolve("chat_template.jinja");
    if (Files.exists(file)) {
      return SmallFiles.text(file);
    }
    JsonNode template = settings.path("chat_template");
    if (template.isArray()) {
      for (JsonNode named : template) {
        if (named.path("name").asText("").equals("default")) {
          return named.path("template").asText(null);
        }
      }
    }
    return template.asText(null);
  }

  private void addIds(JsonNode ids, int vocab, Set<Integer> into) {
    if (ids.isArray()) {
      ids.forEach(id -> addIds(id, vocab, into));
    } else if (ids.isIntegralNumber()) {
      if (!ids.canConvertToInt() || ids.intValue() < 0 || ids.intValue() >= vocab) {
        throw checks.corrupt("lies beside a stop token " + ids + " outside of the vocabulary");
      }
      into.add(ids.intValue());
    }
  }

  private JsonNode optional(String name) {
    Path file = folder.resolve(name);
    return Files.exists(file) ? SmallFiles.json(file) : SmallFiles.JSON.createObjectNode();
  }

  /** A token is given as its text, or as an object that holds it. */
  private static String tokenText(JsonNode token) {
    return token.isObject() ? token.path("content").asText("") : token.asText("");
  }

  private static String written(ObjectNode tokenizer) {
    try {
      return SmallFiles.JSON.writeValueAsString(tokenizer);
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException("writing to memory", e);
    }
  }
}

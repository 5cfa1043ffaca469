package org.parallelcomp.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/** What every command's JSON has in common. */
final class Json {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private Json() {}

  static ObjectNode object() {
    return JsonNodeFactory.instance.objectNode();
  }

  /** Puts a number; one that JSON cannot hold becomes null. */
  static void put(ObjectNode node, String name, double value) {
    if (Double.isFinite(value)) {
      node.put(name, value);
    } else {
      node.putNull(name);
    }
  }

  /** Returns a constant's name in kebab form. */
  static String word(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** Prints in UTF-8, the one encoding of JSON, whatever the locale says. */
  static void print(JsonNode root, Streams streams) {
    streams.out().writeBytes((text(root) + "\n").getBytes(StandardCharsets.UTF_8));
  }

  /** Returns a string in quotation marks, with line breaks made visible. */
  static String quoted(String text) {
    return text(JsonNodeFactory.instance.textNode(text));
  }

  static String text(JsonNode root) {
    try {
      return MAPPER.writerWithDefaultPrettyPrinter().writeValueAsString(root);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a tree can always be written", e);
    }
  }
}

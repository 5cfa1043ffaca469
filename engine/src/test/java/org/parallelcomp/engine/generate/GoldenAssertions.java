package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertAll;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.function.Executable;

/** Comparisons with what the reference implementations wrote down. */
final class GoldenAssertions {
  private GoldenAssertions() {}

  /**
   * Asserts that some logits are those of {@code [id, logit]} pairs or {@code {id, logit}} objects.
   */
  static void assertLogits(JsonNode expected, float[] actual, double tolerance) {
    var checks = new ArrayList<Executable>();
    for (JsonNode entry : expected) {
      int id = (entry.isArray() ? entry.get(0) : entry.get("id")).asInt();
      double logit = (entry.isArray() ? entry.get(1) : entry.get("logit")).asDouble();
      checks.add(() -> assertEquals(logit, actual[id], tolerance, "logit of token " + id));
    }
    assertAll(checks);
  }

  static int[] ints(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).mapToInt(JsonNode::asInt).toArray();
  }

  static List<Integer> list(JsonNode array) {
    return StreamSupport.stream(array.spliterator(), false).map(JsonNode::asInt).toList();
  }
}

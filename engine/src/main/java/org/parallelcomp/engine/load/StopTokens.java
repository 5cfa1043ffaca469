package org.parallelcomp.engine.load;

import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Which tokens end an answer, by the names that models give them. */
final class StopTokens {
  private static final List<String> NAMES =
      List.of(
          "<|im_end|>",
          "<|endoftext|>",
          "<|eot_id|>",
          "<|eom_id|>",
          "<|end_of_text|>",
          "<|end|>",
          "</s>");

  private StopTokens() {}

  static Set<Integer> byName(Map<String, Integer> special) {
    Set<Integer> stops = new HashSet<>();
    for (String name : NAMES) {
      Integer id = special.get(name);
      if (id != null) {
        stops.add(id);
      }
    }
    return stops;
  }
}

package org.parallelcomp.api.error;

import java.util.Collection;
import java.util.Comparator;
import java.util.Locale;
import java.util.Optional;
import java.util.TreeSet;

/** Messages for names that do not exist: what there is instead, and the nearest of it. */
public final class Names {
  private Names() {}

  /**
   * Returns the exception for a failed look-up.
   *
   * @param what the kind of thing, as in "preset"
   * @param name the name that was asked for
   * @param existing every name that exists
   */
  public static InferenceException unknown(String what, String name, Collection<String> existing) {
    var message =
        new StringBuilder("There is no ").append(what).append(" '").append(name).append("'");
    nearest(name, existing)
        .ifPresent(n -> message.append("; did you mean '").append(n).append("'?"));
    message.append(message.charAt(message.length() - 1) == '?' ? " There " : "; there ");
    message.append(
        existing.isEmpty()
            ? "is none at all."
            : "is: " + String.join(", ", new TreeSet<>(existing)) + ".");
    return new InferenceException(ErrorCode.UNKNOWN_NAME, message.toString());
  }

  /** Returns the candidate with the fewest edits, if it is near enough to be meant. */
  public static Optional<String> nearest(String name, Collection<String> candidates) {
    return candidates.stream()
        .min(
            Comparator.comparingInt((String c) -> edits(name, c))
                .thenComparing(Comparator.naturalOrder()))
        .filter(c -> edits(name, c) <= Math.max(2, name.length() / 3));
  }

  /** Levenshtein distance, ignoring case. */
  private static int edits(String a, String b) {
    String from = a.toLowerCase(Locale.ROOT);
    String to = b.toLowerCase(Locale.ROOT);
    int[] row = new int[to.length() + 1];
    for (int j = 0; j <= to.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= from.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= to.length(); j++) {
        int substitute = diagonal + (from.charAt(i - 1) == to.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(substitute, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[to.length()];
  }
}

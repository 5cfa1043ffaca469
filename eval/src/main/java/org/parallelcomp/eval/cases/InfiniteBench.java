package org.parallelcomp.eval.cases;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * The synthetic forms of InfiniteBench (arXiv 2402.13718): pass key, number string, and the value
 * of a key in a JSON object, with its words and its way to score. Cases are drawn anew, at any
 * length; the published ones have 64K and 128K tokens.
 */
public final class InfiniteBench {
  /** The kinds of question. */
  public enum Task {
    /** Five digits in repeated noise. */
    PASSKEY("ib-passkey"),
    /** Ten digits, some of them repeated, in repeated noise. */
    NUMBER_STRING("ib-number"),
    /** The value of one key among as many as fit. */
    KEY_VALUE("ib-kv");

    private final String label;

    Task(String label) {
      this.label = label;
    }

    /** Returns the name used on the command line. */
    public String label() {
      return label;
    }
  }

  private static final String HIDDEN =
      "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I"
          + " will quiz you about the important information.\n\n";

  private final Filler noise;

  /** Creates a generator; its filler must be {@link Filler#noise}. */
  public InfiniteBench(Filler noise) {
    this.noise = noise;
  }

  /**
   * Returns case {@code index} of {@code count}, what is asked for at depth {@code (index + 0.5) /
   * count}.
   *
   * @param tokens about how many tokens of text
   * @param seed of the whole evaluation
   */
  public EvalCase create(Task task, int tokens, int index, int count, long seed) {
    Random random = Seeds.random(task.label(), tokens, index, seed);
    double depth = (index + 0.5) / count;
    return switch (task) {
      case PASSKEY -> {
        String key = digits(random, 5);
        yield hidden(
            task,
            tokens,
            depth,
            "The pass key is " + key + ". Remember it. " + key + " is the pass key.\n",
            "What is the pass key?",
            "The pass key is",
            key);
      }
      case NUMBER_STRING -> {
        String key = numberString(random);
        yield hidden(
            task,
            tokens,
            depth,
            "The sequence of digits is "
                + key
                + ". Remember it. "
                + key
                + " is the sequence of digits.\n",
            "What is the sequence of digits?",
            "The sequence of digits is",
            key);
      }
      case KEY_VALUE -> keyValue(random, tokens, depth);
    };
  }

  private EvalCase hidden(
      Task task,
      int tokens,
      double depth,
      String needle,
      String question,
      String lead,
      String answer) {
    int perLine = noise.tokens((Filler.NOISE + "\n").repeat(16)) / 16;
    int lines = Math.max(1, (tokens - noise.tokens(needle)) / perLine);
    int before = (int) Math.round(depth * lines);
    String text =
        (Filler.NOISE + "\n").repeat(before)
            + needle
            + (Filler.NOISE + "\n").repeat(lines - before);
    return new EvalCase(
        task.label(),
        tokens,
        depth,
        text,
        question,
        HIDDEN,
        "\n\n{question}",
        lead,
        List.of(answer),
        Scoring.FIRST_NUMBER,
        12);
  }

  private EvalCase keyValue(Random random, int tokens, double depth) {
    int perPair = noise.tokens(pairs(random, 16)) / 16;
    Map<String, String> records = new LinkedHashMap<>();
    int count = Math.max(1, tokens / perPair);
    while (records.size() < count) {
      records.put(uuid(random), uuid(random));
    }
    String asked = List.copyOf(records.keySet()).get(Math.min(count - 1, (int) (depth * count)));
    return new EvalCase(
        Task.KEY_VALUE.label(),
        tokens,
        depth,
        "JSON data:\n" + json(records),
        "Key: \"" + asked + "\"",
        "Extract the value corresponding to the specified key in the JSON object below.\n\n",
        "\n\n{question}",
        "The value associated with the specified key is:",
        List.of(records.get(asked)),
        Scoring.WORD,
        50);
  }

  private static String pairs(Random random, int count) {
    Map<String, String> records = new LinkedHashMap<>();
    for (int i = 0; i < count; i++) {
      records.put(uuid(random), uuid(random));
    }
    return json(records);
  }

  private static String json(Map<String, String> records) {
    return records.entrySet().stream()
        .map(e -> "\"" + e.getKey() + "\": \"" + e.getValue() + "\"")
        .collect(Collectors.joining(", ", "{", "}"));
  }

  /** Five digits, then five times one of those so far once more behind itself. */
  private static String numberString(Random random) {
    List<Character> digits = new ArrayList<>();
    for (char digit : digits(random, 5).toCharArray()) {
      digits.add(digit);
    }
    for (int i = 0; i < 5; i++) {
      int at = random.nextInt(digits.size());
      digits.add(at, digits.get(at));
    }
    return digits.stream().map(String::valueOf).collect(Collectors.joining());
  }

  private static String digits(Random random, int count) {
    StringBuilder digits = new StringBuilder();
    while (digits.length() < count) {
      digits.append(random.nextInt(10));
    }
    return digits.toString();
  }

  /** A UUID of version 4 (RFC 9562) from seeded bits. */
  static String uuid(Random random) {
    long high = random.nextLong() & ~0xF000L | 0x4000L;
    long low = random.nextLong() & 0x3FFFFFFFFFFFFFFFL | 0x8000000000000000L;
    return new UUID(high, low).toString();
  }
}

package org.parallelcomp.eval.cases;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/**
 * RULER's synthetic families (arXiv 2404.06654), with its words, numbers and way to score.
 *
 * <p><i>Departures</i>: words come from lists of our own, the filler of the "essay" tasks is
 * whatever filler is given, and no solved example stands before the text of variable tracking and
 * common words.
 */
public final class Ruler {
  /** The tasks, by the names that RULER's configurations give them. */
  public enum Task {
    /** A number keyed by a word, in repeated noise. */
    NIAH_SINGLE_1,
    /** A number keyed by a word, in filler. */
    NIAH_SINGLE_2,
    /** A UUID keyed by a word, in filler. */
    NIAH_SINGLE_3,
    /** Four numbers keyed by words in filler, one asked. */
    NIAH_MULTIKEY_1,
    /** Nothing but numbers keyed by words, one asked. */
    NIAH_MULTIKEY_2,
    /** Nothing but UUIDs keyed by UUIDs, one asked. */
    NIAH_MULTIKEY_3,
    /** Four numbers of one word, all asked. */
    NIAH_MULTIVALUE,
    /** Four numbers of four words, all asked. */
    NIAH_MULTIQUERY,
    /** Which variables have a value that is handed on four times. */
    VT,
    /** The ten words that stand in a list thirty times, the others three times. */
    CWE,
    /** The three most frequent of words whose frequency falls with the square of their rank. */
    FWE;

    /** Returns the name used on the command line. */
    public String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  private static final int DEPTHS = 40;
  private static final int HOPS = 4;
  private static final int COMMON_WORDS = 10;
  private static final double ZIPF = 2;

  /** Zeta(2), by which the counts of words are normalised. */
  private static final double ZETA = Math.PI * Math.PI / 6;

  private final Filler filler;
  private final Filler noise;

  /** Creates a generator; the second filler must be {@link Filler#noise}. */
  public Ruler(Filler filler, Filler noise) {
    this.filler = filler;
    this.noise = noise;
  }

  /**
   * Returns a case.
   *
   * @param tokens about how many tokens of text
   * @param index tells cases apart
   * @param seed of the whole evaluation
   */
  public EvalCase create(Task task, int tokens, int index, long seed) {
    Random random = Seeds.random(task.label(), tokens, index, seed);
    return switch (task) {
      case NIAH_SINGLE_1 -> needles(task, Hay.NOISE, 1, 1, 1, false, tokens, index, random);
      case NIAH_SINGLE_2 -> needles(task, Hay.FILLER, 1, 1, 1, false, tokens, index, random);
      case NIAH_SINGLE_3 -> needles(task, Hay.FILLER, 1, 1, 1, true, tokens, index, random);
      case NIAH_MULTIKEY_1 -> needles(task, Hay.FILLER, 4, 1, 1, false, tokens, index, random);
      case NIAH_MULTIKEY_2 -> needles(task, Hay.NEEDLES, 1, 1, 1, false, tokens, index, random);
      case NIAH_MULTIKEY_3 -> needles(task, Hay.NEEDLES, 1, 1, 1, true, tokens, index, random);
      case NIAH_MULTIVALUE -> needles(task, Hay.FILLER, 1, 4, 1, false, tokens, index, random);
      case NIAH_MULTIQUERY -> needles(task, Hay.FILLER, 4, 1, 4, false, tokens, index, random);
      case VT -> variableTracking(tokens, random);
      case CWE -> commonWords(tokens, random);
      case FWE -> frequentWords(tokens, random);
    };
  }

  /** What needles are hidden in. */
  private enum Hay {
    NOISE,
    FILLER,
    NEEDLES
  }

  private EvalCase needles(
      Task task,
      Hay hay,
      int keys,
      int valuesOfKey,
      int queries,
      boolean uuids,
      int tokens,
      int index,
      Random random) {
    String kind = uuids ? "uuids" : "numbers";
    boolean uuidKeys = uuids && hay == Hay.NEEDLES;
    List<String> names = new ArrayList<>();
    List<List<String>> values = new ArrayList<>();
    List<String> needles = new ArrayList<>();
    while (names.size() < keys) {
      String name = uuidKeys ? InfiniteBench.uuid(random) : Words.compound(random);
      if (names.contains(name)) {
        continue;
      }
      names.add(name);
      List<String> ofName = new ArrayList<>();
      for (int v = 0; v < valuesOfKey; v++) {
        ofName.add(value(uuids, random));
        needles.add(needle(kind, name, ofName.getLast()));
      }
      values.add(ofName);
    }
    Collections.shuffle(needles, random);
    String text =
        switch (hay) {
          case FILLER -> atDepths(filler.take(random, index, tokens), needles, random);
          case NOISE -> amongLines(noiseLines(tokens, needles), needles, "\n", random);
          case NEEDLES ->
              amongLines(otherNeedles(tokens, kind, uuids, names, random), needles, "\n", random);
        };
    List<Integer> order = new ArrayList<>(IntStream.range(0, keys).boxed().toList());
    Collections.shuffle(order, random);
    List<Integer> asked = order.subList(0, queries);
    List<String> askedNames = asked.stream().map(names::get).toList();
    List<String> answers = asked.stream().flatMap(i -> values.get(i).stream()).toList();
    String query = joined(askedNames);
    boolean one = queries * valuesOfKey == 1;
    String type = one ? kind.substring(0, kind.length() - 1) : kind;
    return new EvalCase(
        task.label(),
        tokens,
        Double.NaN,
        text,
        (one ? "What is the special magic " : "What are all the special magic ")
            + type
            + " for "
            + query
            + " mentioned in the provided text?",
        (one ? "A special magic " + type + " is" : "Some special magic " + type + " are")
            + " hidden within the following text. Make sure to memorize it. I will quiz you about"
            + " the "
            + type
            + " afterwards.\n",
        "\n{question}",
        "The special magic "
            + type
            + " for "
            + query
            + " mentioned in the provided text "
            + (one ? "is" : "are"),
        answers,
        Scoring.STRING_MATCH_ALL,
        128);
  }

  private static String joined(List<String> names) {
    return names.size() == 1
        ? names.getFirst()
        : String.join(", ", names.subList(0, names.size() - 1)) + ", and " + names.getLast();
  }

  private static String needle(String kind, String key, String value) {
    return "One of the special magic " + kind + " for " + key + " is: " + value + ".";
  }

  private static String value(boolean uuid, Random random) {
    return uuid
        ? InfiniteBench.uuid(random)
        : Integer.toString(1_000_000 + random.nextInt(9_000_000));
  }

  /** Puts needles behind sentences at depths of a grid of 40, no two at the same. */
  private static String atDepths(String text, List<String> needles, Random random) {
    List<Integer> depths = new ArrayList<>(IntStream.range(0, DEPTHS).boxed().toList());
    Collections.shuffle(depths, random);
    List<Integer> chosen = new ArrayList<>(depths.subList(0, needles.size()));
    // From behind, so that a needle does not move the places of those before it.
    chosen.sort(Collections.reverseOrder());
    StringBuilder hay = new StringBuilder(text);
    for (int i = 0; i < chosen.size(); i++) {
      int at = (int) ((long) text.length() * chosen.get(i) / (DEPTHS - 1));
      int sentence = text.indexOf(". ", at);
      String needle = needles.get(i);
      if (sentence < 0) {
        hay.append(' ').append(needle);
      } else {
        hay.insert(sentence + 2, needle + " ");
      }
    }
    return hay.toString();
  }

  private static String amongLines(
      List<String> lines, List<String> needles, String separator, Random random) {
    List<String> all = new ArrayList<>(lines);
    for (String needle : needles) {
      all.add(random.nextInt(all.size() + 1), needle);
    }
    return String.join(separator, all);
  }

  private List<String> noiseLines(int tokens, List<String> needles) {
    int perLine = noise.tokens((Filler.NOISE + "\n").repeat(16)) / 16;
    int room = tokens - noise.tokens(String.join("\n", needles));
    return Collections.nCopies(Math.max(1, room / perLine), Filler.NOISE);
  }

  private List<String> otherNeedles(
      int tokens, String kind, boolean uuids, List<String> taken, Random random) {
    List<String> sample = distractors(16, kind, uuids, taken, random);
    int count = Math.max(1, 16 * tokens / noise.tokens(String.join("\n", sample)));
    return distractors(count, kind, uuids, taken, random);
  }

  private static List<String> distractors(
      int count, String kind, boolean uuids, List<String> taken, Random random) {
    List<String> lines = new ArrayList<>();
    while (lines.size() < count) {
      String key = uuids ? InfiniteBench.uuid(random) : Words.compound(random);
      if (!taken.contains(key)) {
        lines.add(needle(kind, key, value(uuids, random)));
      }
    }
    return lines;
  }

  private EvalCase variableTracking(int tokens, Random random) {
    List<String> names = new ArrayList<>();
    for (String word : Words.coded(random, HOPS + 1, 5)) {
      names.add(word.toUpperCase(Locale.ROOT));
    }
    String value = Integer.toString(10_000 + random.nextInt(90_000));
    List<String> chain = new ArrayList<>();
    chain.add("VAR " + names.getFirst() + " = " + value);
    for (int hop = 0; hop < HOPS; hop++) {
      chain.add("VAR " + names.get(hop + 1) + " = VAR " + names.get(hop));
    }
    List<String> lines = noiseLines(tokens, chain);
    List<Integer> places = new ArrayList<>();
    for (int i = 0; i < chain.size(); i++) {
      places.add(random.nextInt(lines.size() + 1));
    }
    Collections.sort(places);
    List<String> all = new ArrayList<>(lines);
    for (int i = chain.size() - 1; i >= 0; i--) {
      all.add(places.get(i), chain.get(i));
    }
    return new EvalCase(
        Task.VT.label(),
        tokens,
        Double.NaN,
        String.join("\n", all),
        "Find all variables that are assigned the value " + value + " in the text above.",
        "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n",
        "\nQuestion: {question}",
        "Answer: According to the chain(s) of variable assignment in the text above, "
            + (HOPS + 1)
            + " variables are assigned the value "
            + value
            + ", they are:",
        names,
        Scoring.STRING_MATCH_ALL,
        30);
  }

  private EvalCase commonWords(int tokens, Random random) {
    // Below 4K tokens RULER itself takes fewer of each.
    int often = tokens < 4096 ? 10 : 30;
    int seldom = tokens < 4096 ? 1 : 3;
    long listSeed = random.nextLong();
    List<String> words =
        fitted(
            tokens / 8,
            tokens,
            others -> Words.spoken(new Random(listSeed), COMMON_WORDS + others),
            all -> commonList(all, often, seldom, listSeed));
    String list = commonList(words, often, seldom, listSeed);
    return new EvalCase(
        Task.CWE.label(),
        tokens,
        Double.NaN,
        list,
        "What are the 10 most common words in the above list?",
        "Below is a numbered list of words. In these words, some appear more often than others."
            + " Memorize the ones that appear most often.\n",
        "\nQuestion: {question}",
        "Answer: The top 10 words that appear most often in the list are:",
        words.subList(0, COMMON_WORDS),
        Scoring.STRING_MATCH_ALL,
        120);
  }

  private static String commonList(List<String> words, int often, int seldom, long seed) {
    List<String> list = new ArrayList<>();
    for (int i = 0; i < words.size(); i++) {
      list.addAll(Collections.nCopies(i < COMMON_WORDS ? often : seldom, words.get(i)));
    }
    Collections.shuffle(list, new Random(seed));
    return numbered(list);
  }

  /**
   * Returns a list whose text has about so many tokens: by the tokens of one try the size of the
   * next.
   *
   * @param first size to begin with
   */
  private List<String> fitted(
      int first, int tokens, IntFunction<List<String>> words, Function<List<String>, String> text) {
    int size = Math.max(1, first);
    for (int attempt = 0; attempt < 4; attempt++) {
      int measured = noise.tokens(text.apply(words.apply(size)));
      size = Math.max(1, (int) ((long) size * tokens / measured));
    }
    return words.apply(size);
  }

  private static String numbered(List<String> words) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < words.size(); i++) {
      text.append(i == 0 ? "" : " ").append(i + 1).append(". ").append(words.get(i));
    }
    return text.toString();
  }

  private EvalCase frequentWords(int tokens, Random random) {
    List<String> vocabulary = new ArrayList<>(Words.coded(random, Math.max(8, tokens / 50), 6));
    // The first rank is taken by dots, which do not count.
    vocabulary.set(0, "...");
    long listSeed = random.nextLong();
    List<String> list =
        fitted(
            tokens,
            tokens,
            size -> frequentList(vocabulary, size, listSeed),
            words -> String.join(" ", words));
    return new EvalCase(
        Task.FWE.label(),
        tokens,
        Double.NaN,
        String.join(" ", list),
        "Do not provide any explanation. Please ignore the dots '....'. What are the three most"
            + " frequently appeared words in the above coded text?",
        "Read the following coded text and track the frequency of each coded word. Find the three"
            + " most frequently appeared coded words. ",
        "\nQuestion: {question}",
        "Answer: According to the coded text above, the three most frequently appeared words are:",
        vocabulary.subList(1, 4),
        Scoring.STRING_MATCH_ALL,
        50);
  }

  private static List<String> frequentList(List<String> vocabulary, int words, long seed) {
    List<String> list = new ArrayList<>();
    for (int rank = 1; rank <= vocabulary.size(); rank++) {
      int count = (int) (words * Math.pow(rank, -ZIPF) / ZETA);
      list.addAll(Collections.nCopies(count, vocabulary.get(rank - 1)));
    }
    Collections.shuffle(list, new Random(seed));
    return list;
  }
}

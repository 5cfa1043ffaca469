package org.parallelcomp.eval.cases;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Stated facts ("needles") hidden in other text, and a question that only they answer. The forms
 * are those of the bundled model's evaluation; filler, values and places are drawn anew from the
 * seed.
 */
public final class HiddenFacts {
  /** The kinds of question. */
  public enum Task {
    /** One five-digit pass key. */
    PASSKEY,
    /** One seven-digit number keyed by a city. */
    NUMBER,
    /** Four such numbers, one of them asked. */
    MULTI,
    /** A sentence that says where somebody keeps a thing. */
    FACT,
    /** Four numbers in different places, two of them asked at once. */
    TWO;

    /** Returns the name used on the command line, as in "passkey". */
    public String label() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** So many tokens are enough for two numbers and what stands around them. */
  private static final int MAX_TOKENS = 24;

  private static final List<String> CITIES =
      List.of(
          "Lisbon",
          "Oslo",
          "Paris",
          "London",
          "Rome",
          "Berlin",
          "Madrid",
          "Vienna",
          "Prague",
          "Athens",
          "Dublin",
          "Cairo",
          "Lima",
          "Quito",
          "Havana",
          "Tokyo",
          "Kyoto",
          "Seoul",
          "Delhi",
          "Sydney",
          "Perth",
          "Boston",
          "Chicago",
          "Denver",
          "Dallas",
          "Austin",
          "Seattle",
          "Toronto",
          "Geneva",
          "Zurich",
          "Milan",
          "Turin",
          "Naples",
          "Venice",
          "Florence");
  private static final List<String> NAMES =
      List.of(
          "Mira", "Anna", "Tom", "Clara", "Peter", "Lena", "Omar", "Nina", "Paul", "Iris", "Hugo",
          "Elsa", "Felix", "Rosa", "Ivan", "Maya", "Leo", "Ruth", "Karl", "Emma", "Jonas", "Alice");
  private static final List<String> PLACES =
      List.of(
          "the lighthouse",
          "the kitchen",
          "the attic",
          "the old barn",
          "the library",
          "the cellar",
          "the top drawer",
          "the greenhouse",
          "the chapel",
          "the boathouse",
          "the mill",
          "the stable",
          "the clock tower",
          "the bakery",
          "the wine cellar",
          "the tool shed");
  private static final List<String> THINGS =
      List.of(
          "silver key",
          "golden ring",
          "old map",
          "red lantern",
          "brass compass",
          "diary",
          "violin",
          "pocket watch",
          "blue scarf",
          "leather bag",
          "chess set",
          "wooden flute",
          "telescope");

  private final Filler filler;

  /** Creates a generator that hides its needles in a filler. */
  public HiddenFacts(Filler filler) {
    this.filler = filler;
  }

  /**
   * Returns case {@code index} of {@code count}: about {@code tokens} tokens of filler, the needle
   * that is asked for at depth {@code (index + 0.5) / count}, the others anywhere.
   */
  public EvalCase create(Task task, int tokens, int index, int count) {
    return create(task, tokens, (index + 0.5) / count, index, 0);
  }

  /**
   * Returns a case.
   *
   * @param tokens about how many tokens of filler
   * @param depth where the needle that is asked for is put, from 0 to 1: behind the first sentence
   *     that ends there or later
   * @param index tells cases of one depth and length apart
   * @param seed of the whole evaluation
   */
  public EvalCase create(Task task, int tokens, double depth, int index, long seed) {
    long caseSeed = 31L * (31L * task.ordinal() + tokens) + index + 1_000_003L * seed;
    // Random's first draws hardly differ between neighbouring seeds, so the seed is spread.
    Random random = new Random(caseSeed * 0x9E3779B97F4A7C15L);
    List<String> needles = new ArrayList<>();
    List<String> answers = new ArrayList<>();
    String question;
    String lead;
    switch (task) {
      case PASSKEY -> {
        String key = digits(random, 5);
        answers.add(key);
        needles.add("The pass key is " + key + ". Remember it. " + key + " is the pass key.");
        question = "What is the pass key?";
        lead = "The pass key is";
      }
      case NUMBER, MULTI, TWO -> {
        List<String> cities = draw(random, CITIES, task == Task.NUMBER ? 1 : 4);
        List<String> values = cities.stream().map(city -> digits(random, 7)).toList();
        for (int i = 0; i < cities.size(); i++) {
          needles.add(
              "The special magic number for " + cities.get(i) + " is: " + values.get(i) + ".");
        }
        question = "What is the special magic number for " + cities.getFirst();
        lead = "The special magic number for " + cities.getFirst() + " is";
        answers.add(values.getFirst());
        if (task == Task.TWO) {
          question += ", and what is the special magic number for " + cities.get(1);
          answers.add(values.get(1));
        }
        question += "?";
      }
      case FACT -> {
        String name = NAMES.get(random.nextInt(NAMES.size()));
        String thing = THINGS.get(random.nextInt(THINGS.size()));
        String place = PLACES.get(random.nextInt(PLACES.size()));
        answers.add(place.replaceFirst("^the ", ""));
        needles.add(name + " keeps the " + thing + " in " + place + ".");
        question = "Where does " + name + " keep the " + thing + "?";
        lead = name + " keeps the " + thing;
      }
      default -> throw new IllegalArgumentException(task.name());
    }
    StringBuilder text = new StringBuilder(filler.take(random, index, tokens));
    for (int i = 0; i < needles.size(); i++) {
      int at = (int) (text.length() * (i == 0 ? depth : random.nextDouble()));
      int sentence = text.indexOf(". ", at);
      text.insert(sentence < 0 ? text.length() : sentence + 2, needles.get(i) + " ");
    }
    return new EvalCase(
        task.label(),
        tokens,
        depth,
        text.toString(),
        question,
        null,
        null,
        lead,
        answers,
        task == Task.FACT ? Scoring.CONTAINS : Scoring.NUMBERS,
        MAX_TOKENS);
  }

  private static String digits(Random random, int count) {
    StringBuilder digits = new StringBuilder().append(1 + random.nextInt(9));
    while (digits.length() < count) {
      digits.append(random.nextInt(10));
    }
    return digits.toString();
  }

  private static List<String> draw(Random random, List<String> from, int count) {
    List<String> shuffled = new ArrayList<>(from);
    Collections.shuffle(shuffled, random);
    return shuffled.subList(0, count);
  }
}

package org.parallelcomp.it;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.zip.GZIPInputStream;
import org.parallelcomp.engine.text.Encoded;
import org.parallelcomp.engine.text.TextTokenizer;

/**
 * Seeded retrieval cases: stated facts ("needles") in a book, and a question that only they answer.
 * The forms are those of the bundled model's evaluation; filler, values and places are drawn anew
 * from the seed.
 */
final class RetrievalCases {
  /** The kinds of question. */
  enum Task {
    /** One five-digit pass key. */
    PASSKEY,
    /** One seven-digit number keyed by a city. */
    NUMBER,
    /** Four such numbers, one of them asked. */
    MULTI,
    /** A sentence that says where somebody keeps a thing. */
    FACT,
    /** Four numbers in different places, two of them asked at once. */
    TWO
  }

  /**
   * One case.
   *
   * @param text book and needles
   * @param question about them
   * @param answer what must be answered
   * @param lead words with which the answer may be made to begin
   */
  record Case(Task task, long seed, String text, String question, String answer, String lead) {
    /** Whether a reply holds everything that was asked for. */
    boolean isAnsweredBy(String reply) {
      return switch (task) {
        case FACT -> reply.contains(answer.replaceFirst("^in ", "").replaceFirst("^the ", ""));
        case PASSKEY, NUMBER, MULTI, TWO -> {
          List<String> numbers = Arrays.asList(reply.split("[^0-9]+"));
          yield numbers.containsAll(Arrays.asList(answer.split(" and ")));
        }
      };
    }
  }

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

  private final TextTokenizer tokenizer;
  private final List<String> books;
  private final Map<Integer, Encoded> encodedBooks = new TreeMap<>();

  /**
   * @param books texts to hide needles in
   */
  RetrievalCases(TextTokenizer tokenizer, List<String> books) {
    this.tokenizer = tokenizer;
    this.books = List.copyOf(books);
  }

  /** Reads gzip-compressed books. */
  static List<String> readBooks(Path... files) {
    return Arrays.stream(files)
        .map(
            file -> {
              try (var in = new GZIPInputStream(Files.newInputStream(file))) {
                return new String(in.readAllBytes(), StandardCharsets.UTF_8);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            })
        .toList();
  }

  /**
   * Returns case {@code index} of {@code count}: about {@code tokens} tokens of a book, the needle
   * that is asked for at depth {@code (index + 0.5) / count}, the others anywhere.
   */
  Case create(Task task, int tokens, int index, int count) {
    long seed = 31L * (31L * task.ordinal() + tokens) + index;
    // Random's first draws hardly differ between neighbouring seeds, so the seed is spread.
    Random random = new Random(seed * 0x9E3779B97F4A7C15L);
    double depth = (index + 0.5) / count;
    List<String> needles = new ArrayList<>();
    String question;
    String answer;
    String lead;
    switch (task) {
      case PASSKEY -> {
        answer = digits(random, 5);
        needles.add("The pass key is " + answer + ". Remember it. " + answer + " is the pass key.");
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
        answer = values.getFirst();
        if (task == Task.TWO) {
          question += ", and what is the special magic number for " + cities.get(1);
          answer += " and " + values.get(1);
        }
        question += "?";
      }
      case FACT -> {
        String name = NAMES.get(random.nextInt(NAMES.size()));
        String thing = THINGS.get(random.nextInt(THINGS.size()));
        answer = "in " + PLACES.get(random.nextInt(PLACES.size()));
        needles.add(name + " keeps the " + thing + " " + answer + ".");
        question = "Where does " + name + " keep the " + thing + "?";
        lead = name + " keeps the " + thing;
      }
      default -> throw new IllegalArgumentException(task.name());
    }
    StringBuilder text = new StringBuilder(filler(random, index, tokens));
    for (int i = 0; i < needles.size(); i++) {
      int at = (int) (text.length() * (i == 0 ? depth : random.nextDouble()));
      int sentence = text.indexOf(". ", at);
      text.insert(sentence < 0 ? text.length() : sentence + 2, needles.get(i) + " ");
    }
    return new Case(task, seed, text.toString(), question, answer, lead);
  }

  private String filler(Random random, int index, int tokens) {
    int book = index % books.size();
    Encoded encoded = encodedBooks.computeIfAbsent(book, b -> tokenizer.encode(books.get(b)));
    int from = random.nextInt(encoded.tokens() - tokens);
    return books.get(book).substring(encoded.fromChar()[from], encoded.toChar()[from + tokens - 1]);
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

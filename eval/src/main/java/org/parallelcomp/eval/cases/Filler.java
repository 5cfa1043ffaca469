package org.parallelcomp.eval.cases;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import org.parallelcomp.engine.TokenizedText;

/** Text in which needles are hidden. */
public abstract sealed class Filler {
  /** The classic repeated noise (arXiv 2305.16300). */
  static final String NOISE =
      "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

  private final Function<String, TokenizedText> tokenizer;

  private Filler(Function<String, TokenizedText> tokenizer) {
    this.tokenizer = tokenizer;
  }

  /**
   * Returns passages of books; a book that is shorter than a passage is read again from its start.
   */
  public static Filler books(Function<String, TokenizedText> tokenizer, List<String> books) {
    return new Books(tokenizer, books);
  }

  /** Returns the same five sentences again and again. */
  public static Filler noise(Function<String, TokenizedText> tokenizer) {
    return new Noise(tokenizer);
  }

  /**
   * Returns so many tokens of text.
   *
   * @param random says where a passage begins
   * @param index of the case; says which book
   */
  abstract String take(Random random, int index, int tokens);

  /** Returns how many tokens a text has. */
  int tokens(String text) {
    return tokenizer.apply(text).tokens();
  }

  TokenizedText tokenize(String text) {
    return tokenizer.apply(text);
  }

  private static final class Books extends Filler {
    private final List<String> books;
    private final Map<Integer, String> texts = new HashMap<>();
    private final Map<Integer, TokenizedText> tokenized = new HashMap<>();

    Books(Function<String, TokenizedText> tokenizer, List<String> books) {
      super(tokenizer);
      this.books = List.copyOf(books);
    }

    @Override
    String take(Random random, int index, int tokens) {
      int book = index % books.size();
      String text = texts.computeIfAbsent(book, books::get);
      TokenizedText encoded = tokenized.computeIfAbsent(book, b -> tokenize(books.get(b)));
      while (encoded.tokens() <= tokens) {
        text = text + " " + books.get(book);
        encoded = tokenize(text);
        texts.put(book, text);
        tokenized.put(book, encoded);
      }
      int from = random.nextInt(encoded.tokens() - tokens);
      return text.substring(encoded.fromChar()[from], encoded.toChar()[from + tokens - 1]);
    }
  }

  private static final class Noise extends Filler {
    private String text = NOISE;
    private TokenizedText encoded;

    Noise(Function<String, TokenizedText> tokenizer) {
      super(tokenizer);
      this.encoded = tokenize(text);
    }

    @Override
    String take(Random random, int index, int tokens) {
      while (encoded.tokens() < tokens) {
        text = text + " " + text;
        encoded = tokenize(text);
      }
      return text.substring(0, encoded.toChar()[tokens - 1]);
    }
  }
}

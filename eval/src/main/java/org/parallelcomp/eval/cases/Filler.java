package org.parallelcomp.eval.cases;

import java.util.List;
import java.util.Random;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
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
    return new Books(tokenizer, books.stream().map(book -> new Repeated(book, false)).toList());
  }

  /** Returns the same five sentences again and again. */
  public static Filler noise(Function<String, TokenizedText> tokenizer) {
    return new Noise(tokenizer, new Repeated(NOISE, true));
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

  /**
   * Returns the same filler for another thread's tokenizer of the same model; what one of them has
   * tokenized none does again.
   */
  public abstract Filler with(Function<String, TokenizedText> other);

  private record Encoding(String text, TokenizedText tokens) {}

  /** A text that is repeated until it is long enough, and its tokens; for several threads. */
  private static final class Repeated {
    private final String once;
    private final boolean doubles;
    private String text;
    private @Nullable TokenizedText tokens;

    /**
     * @param doubles whether it grows by all of itself, or by the text at the start once more
     */
    Repeated(String once, boolean doubles) {
      this.once = once;
      this.doubles = doubles;
      this.text = once;
    }

    synchronized Encoding moreThan(int count, Function<String, TokenizedText> tokenizer) {
      TokenizedText encoded = tokens == null ? tokenizer.apply(text) : tokens;
      while (encoded.tokens() <= count) {
        text = text + " " + (doubles ? text : once);
        encoded = tokenizer.apply(text);
      }
      tokens = encoded;
      return new Encoding(text, encoded);
    }
  }

  private static final class Books extends Filler {
    private final List<Repeated> books;

    Books(Function<String, TokenizedText> tokenizer, List<Repeated> books) {
      super(tokenizer);
      this.books = books;
    }

    @Override
    String take(Random random, int index, int tokens) {
      Encoding book = books.get(index % books.size()).moreThan(tokens, this::tokenize);
      int from = random.nextInt(book.tokens().tokens() - tokens);
      return book.text()
          .substring(book.tokens().fromChar()[from], book.tokens().toChar()[from + tokens - 1]);
    }

    @Override
    public Filler with(Function<String, TokenizedText> other) {
      return new Books(other, books);
    }
  }

  private static final class Noise extends Filler {
    private final Repeated noise;

    Noise(Function<String, TokenizedText> tokenizer, Repeated noise) {
      super(tokenizer);
      this.noise = noise;
    }

    @Override
    String take(Random random, int index, int tokens) {
      Encoding text = noise.moreThan(tokens, this::tokenize);
      return text.text().substring(0, text.tokens().toChar()[tokens - 1]);
    }

    @Override
    public Filler with(Function<String, TokenizedText> other) {
      return new Noise(other, noise);
    }
  }
}

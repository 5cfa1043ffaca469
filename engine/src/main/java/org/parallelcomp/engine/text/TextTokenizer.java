package org.parallelcomp.engine.text;

import ai.djl.huggingface.tokenizers.jni.CharSpan;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.load.TokenizerDefinition;

/**
 * Text to token ids and back, by the Hugging Face tokenizers library. Nothing is truncated, padded
 * or added, and special tokens in a text are ordinary text. All methods may be called by several
 * threads at once.
 *
 * <p>The native calls of DJL are used without its {@code HuggingFaceTokenizer}, which truncates to
 * 512 tokens, keeps the text of every token in memory and reports its use over the network.
 */
public final class TextTokenizer implements AutoCloseable {
  /** Small enough for little memory, large enough that calls cost nothing. */
  private static final int PIECE_CHARS = 1 << 15;

  private final TokenizerDefinition definition;
  private final boolean cutsAtBlanks;
  private final Map<Integer, String> specialTexts = new HashMap<>();
  private final TokenizersLibrary library;
  private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();
  private final BitSet knownEnds = new BitSet();
  private final BitSet sentenceEnds = new BitSet();
  private long handle;

  /**
   * Builds the tokenizer.
   *
   * @throws InferenceException CORRUPT_FILE if the library refuses the definition; DEVICE_FAILURE
   *     if the library itself cannot be loaded
   */
  public TextTokenizer(TokenizerDefinition definition) {
    this.definition = definition;
    this.cutsAtBlanks = definition.wordsEndBeforeBlanks();
    definition.specialTokens().forEach((text, id) -> specialTexts.put(id, text));
    this.library = TokenizerLibrary.load();
    try {
      this.handle = library.createTokenizerFromString(definition.json());
    } catch (RuntimeException e) {
      throw new InferenceException(
          ErrorCode.CORRUPT_FILE,
          "The tokenizer of the model cannot be used: " + e.getMessage() + ".",
          e);
    }
  }

  /** Returns what the tokenizer was built from. */
  public TokenizerDefinition definition() {
    return definition;
  }

  /** Returns the id of a special token by its text. */
  public OptionalInt specialToken(String text) {
    Integer id = definition.specialTokens().get(text);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /**
   * Returns the tokens of a text; offsets count UTF-16 units, as {@link String} does. Long texts
   * are cut where no token can lie and encoded piece by piece on all cores: the library takes some
   * 160 bytes for each character of a text while it works.
   */
  public Encoded encode(String text) {
    String wellFormed = Characters.withoutLoneSurrogates(text);
    int[] cuts = cutsAtBlanks ? Characters.cutsBeforeBlanks(wellFormed, PIECE_CHARS) : new int[0];
    if (cuts.length == 0) {
      return encodePiece(wellFormed, 0, wellFormed.length());
    }
    List<Encoded> pieces =
        IntStream.rangeClosed(0, cuts.length)
            .parallel()
            .mapToObj(
                i ->
                    encodePiece(
                        wellFormed,
                        i == 0 ? 0 : cuts[i - 1],
                        i == cuts.length ? wellFormed.length() : cuts[i]))
            .toList();
    return new Encoded(
        joined(pieces, Encoded::ids),
        joined(pieces, Encoded::fromChar),
        joined(pieces, Encoded::toChar));
  }

  private Encoded encodePiece(String text, int from, int to) {
    String piece = text.substring(from, to);
    return withHandle(
        h -> {
          long encoding = library.encode(h, piece, false);
          try {
            return encoded(
                piece, from, library.getTokenIds(encoding), library.getTokenCharSpans(encoding));
          } finally {
            library.deleteEncoding(encoding);
          }
        });
  }

  private static int[] joined(List<Encoded> pieces, Function<Encoded, int[]> part) {
    return pieces.stream().map(part).flatMapToInt(IntStream::of).toArray();
  }

  /** Returns the text of the tokens; special tokens appear as they are written. */
  public String decode(int... ids) {
    StringBuilder text = new StringBuilder();
    int from = 0;
    for (int i = 0; i <= ids.length; i++) {
      String special = i < ids.length ? specialTexts.get(ids[i]) : "";
      if (special != null) {
        if (from < i) {
          text.append(decodePlain(ids, from, i));
        }
        text.append(special);
        from = i + 1;
      }
    }
    return text.toString();
  }

  /** Returns a decoder for tokens that come one by one. */
  public TokenDecoder decoder() {
    return new TokenDecoder(this);
  }

  /**
   * Returns which tokens end a sentence: the token's text, less white space and quotes behind it,
   * ends with {@code . ! ?}.
   *
   * @param ids tokens of a text, {@code [tokens]}
   * @return a bit per token of {@code ids}
   */
  public BitSet sentenceEnds(int[] ids) {
    synchronized (knownEnds) {
      long[][] unknown =
          Arrays.stream(ids)
              .filter(id -> !knownEnds.get(id))
              .distinct()
              .mapToObj(id -> new long[] {id})
              .toArray(long[][]::new);
      if (unknown.length > 0) {
        String[] texts = withHandle(h -> library.batchDecode(h, unknown, false));
        for (int i = 0; i < unknown.length; i++) {
          knownEnds.set((int) unknown[i][0]);
          sentenceEnds.set((int) unknown[i][0], Characters.endsSentence(texts[i]));
        }
      }
      BitSet ends = new BitSet(ids.length);
      for (int i = 0; i < ids.length; i++) {
        ends.set(i, sentenceEnds.get(ids[i]));
      }
      return ends;
    }
  }

  /** Frees the native tokenizer; calls under way are waited for. */
  @Override
  public void close() {
    lock.writeLock().lock();
    try {
      if (handle != 0) {
        library.deleteTokenizer(handle);
        handle = 0;
      }
    } finally {
      lock.writeLock().unlock();
    }
  }

  private String decodePlain(int[] ids, int from, int to) {
    long[] wide = Arrays.stream(ids, from, to).asLongStream().toArray();
    return withHandle(h -> library.decode(h, wide, false));
  }

  private <T> T withHandle(Function<Long, T> call) {
    lock.readLock().lock();
    try {
      if (handle == 0) {
        throw new IllegalStateException("the tokenizer is closed");
      }
      return call.apply(handle);
    } finally {
      lock.readLock().unlock();
    }
  }

  /** The library counts characters as code points. */
  private static Encoded encoded(String text, int offset, long[] wideIds, CharSpan[] spans) {
    int tokens = wideIds.length;
    int[] ids = new int[tokens];
    int[] from = new int[tokens];
    int[] to = new int[tokens];
    for (int t = 0; t < tokens; t++) {
      ids[t] = (int) wideIds[t];
      from[t] = spans[t].getStart();
      to[t] = spans[t].getEnd();
    }
    Characters.codePointsToUnits(text, from, offset);
    Characters.codePointsToUnits(text, to, offset);
    return new Encoded(ids, from, to);
  }
}

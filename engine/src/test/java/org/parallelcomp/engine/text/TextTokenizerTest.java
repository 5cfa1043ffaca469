package org.parallelcomp.engine.text;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.TestModels;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.load.TokenizerDefinition;

class TextTokenizerTest {
  private static final String MIXED = "Grüße, 東京 🙂👍🏽! x² — 'no'. 👨‍👩‍👧 end";
  private static TextTokenizer tokenizer;

  @BeforeAll
  static void load() {
    tokenizer = new TextTokenizer(ModelFiles.open(TestModels.bundledNeedle()).tokenizer());
  }

  @AfterAll
  static void close() {
    tokenizer.close();
  }

  @Test
  void offsetsCountUtf16UnitsAndCoverTheText() {
    Encoded encoded = tokenizer.encode(MIXED);
    int covered = 0;
    for (int t = 0; t < encoded.tokens(); t++) {
      assertTrue(encoded.fromChar()[t] <= covered, "a gap before token " + t);
      assertTrue(encoded.fromChar()[t] < encoded.toChar()[t], "token " + t + " is empty");
      covered = Math.max(covered, encoded.toChar()[t]);
      assertFalse(
          Character.isLowSurrogate(MIXED.charAt(encoded.fromChar()[t])),
          "token " + t + " begins inside a character");
    }
    assertEquals(MIXED.length(), covered);
  }

  @Test
  void longTextsAreNotTruncated() {
    Encoded encoded = tokenizer.encode("word ".repeat(20_000));
    assertTrue(encoded.tokens() >= 20_000, "only " + encoded.tokens());
    assertEquals(100_000, encoded.toChar()[encoded.tokens() - 1]);
  }

  @Test
  void specialTokensInATextAreText() {
    assertEquals(OptionalInt.of(2), tokenizer.specialToken("<|im_end|>"));
    assertEquals(OptionalInt.empty(), tokenizer.specialToken("<|eot_id|>"));
    int[] ids = tokenizer.encode("a<|im_end|>b<|endoftext|>").ids();
    assertTrue(IntStream.of(ids).noneMatch(id -> id < 3), Arrays.toString(ids));
    assertEquals("a<|im_end|>b<|endoftext|>", tokenizer.decode(ids));
    assertEquals("<|im_end|>\n", tokenizer.decode(2, 201));
  }

  @Test
  void streamedTextIsTheWholeTextInWholeCharacters() {
    var decoder = tokenizer.decoder();
    var streamed = new StringBuilder();
    for (int id : tokenizer.encode(MIXED).ids()) {
      String piece = decoder.accept(id);
      assertFalse(piece.contains("\uFFFD"), piece);
      streamed.append(piece);
    }
    assertEquals(MIXED, streamed + decoder.finish());
  }

  @Test
  void brokenBytesAreGivenOutInTheEnd() {
    int firstByteOfEmoji = tokenizer.encode("🙂").ids()[0];
    var decoder = tokenizer.decoder();
    assertEquals("", decoder.accept(firstByteOfEmoji));
    assertEquals("\uFFFD", decoder.finish());
    assertEquals("", decoder.finish());
  }

  @Test
  void randomTextsSurviveARoundTrip() {
    long seed = 20260101;
    var random = new Random(seed);
    for (int i = 0; i < 300; i++) {
      var text = new StringBuilder();
      for (int c = random.nextInt(40); c > 0; c--) {
        int range = random.nextInt(4);
        int point =
            range == 0
                ? random.nextInt(0x20, 0x7f)
                : range == 1
                    ? random.nextInt(0xa0, 0xd7ff)
                    : range == 2 ? random.nextInt(0x1f300, 0x1f700) : '\n';
        text.appendCodePoint(point);
      }
      Encoded encoded = tokenizer.encode(text.toString());
      assertEquals(text.toString(), tokenizer.decode(encoded.ids()), "seed " + seed + ", " + i);
    }
  }

  @Test
  void halvesOfSurrogatePairsBecomeReplacements() {
    Encoded encoded = tokenizer.encode("a\ud83d b");
    assertEquals("a\uFFFD b", tokenizer.decode(encoded.ids()));
    assertEquals(4, encoded.toChar()[encoded.tokens() - 1]);
  }

  @Test
  void sentencesEndBehindStopsAndQuotes() {
    Encoded encoded = tokenizer.encode("Yes. No, Dr x! \"Why?\" said he");
    BitSet ends = tokenizer.sentenceEnds(encoded.ids());
    String text = "Yes. No, Dr x! \"Why?\" said he";
    for (int t = 0; t < encoded.tokens(); t++) {
      String token = text.substring(encoded.fromChar()[t], encoded.toChar()[t]);
      assertEquals(token.replaceAll("[\n\"' ]+$", "").matches("(?s).*[.!?]"), ends.get(t), token);
    }
    assertEquals(3, ends.cardinality());
    assertEquals(ends, tokenizer.sentenceEnds(encoded.ids()), "the second time from memory");
  }

  @Test
  void paragraphsBeginBehindBlankLines() {
    String text = "One.\nStill one.\n\nTwo.\r\n \t\r\n\r\n  Three.\n\n";
    Encoded encoded = tokenizer.encode(text);
    BitSet ends = encoded.paragraphEnds(text);
    var begins = new ArrayList<String>();
    for (int t = ends.nextSetBit(0); t >= 0; t = ends.nextSetBit(t + 1)) {
      String rest = text.substring(encoded.fromChar()[t + 1]).strip();
      begins.add(rest.substring(0, rest.indexOf('.')));
    }
    assertEquals(List.of("Two", "Three"), begins);
    assertEquals(new BitSet(), tokenizer.encode("One.\nTwo.").paragraphEnds("One.\nTwo."));
    assertEquals(new BitSet(), tokenizer.encode("").paragraphEnds(""));
  }

  @Test
  void manyThreadsMayEncodeAtOnce() {
    int[] expected = tokenizer.encode(MIXED).ids();
    IntStream.range(0, 200)
        .parallel()
        .forEach(i -> assertArrayEquals(expected, tokenizer.encode(MIXED).ids()));
  }

  @Test
  void anImpossibleDefinitionIsRefused() {
    TokenizerDefinition sound = tokenizer.definition();
    var broken =
        new TokenizerDefinition(
            "{\"version\": 7}", sound.specialTokens(), null, sound.stopTokens(), "broken", null);
    var refused = assertThrows(InferenceException.class, () -> new TextTokenizer(broken));
    assertEquals(ErrorCode.CORRUPT_FILE, refused.code());
  }
}

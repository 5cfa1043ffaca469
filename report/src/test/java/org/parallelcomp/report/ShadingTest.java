package org.parallelcomp.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.parallelcomp.report.Shading.Run;

class ShadingTest {
  private static List<Run> runs(String text, int[] from, int[] to, int[] keptBy) {
    return Shading.of(text, 0, from.length, from, to, keptBy, 8).runs();
  }

  @Test
  void tokensThatWereKeptAlikeAreOneRun() {
    assertEquals(
        List.of(
            new Run("The ", 0, 0, 0),
            new Run("silver key", 8, 4, 0),
            new Run(" is", 1, 1, 0),
            new Run(" in", 5, 3, 0)),
        runs(
            "The silver key is in",
            new int[] {0, 4, 10, 14, 17},
            new int[] {4, 10, 14, 17, 20},
            new int[] {0, 8, 8, 1, 5}));
  }

  @Test
  void aPassageBeginsAtItsFirstToken() {
    Shading shading =
        Shading.of(
            "one two three",
            1,
            2,
            new int[] {0, 3, 7},
            new int[] {3, 7, 13},
            new int[] {8, 2, 8},
            8);

    assertEquals(3, shading.fromChar());
    assertEquals(List.of(new Run(" two", 2, 1, 0)), shading.runs());
  }

  @Test
  void charactersOfSeveralTokensAndOfTwoUnitsStayWhole() {
    // Two tokens spell the key emoji, of which Java holds two units.
    String text = "a\uD83D\uDD11b";
    assertEquals(
        List.of(new Run("a", 0, 0, 0), new Run("\uD83D\uDD11", 6, 3, 0), new Run("b", 2, 1, 0)),
        runs(text, new int[] {0, 1, 1, 3}, new int[] {1, 3, 3, 4}, new int[] {0, 6, 2, 2}));
    // Tokens that would cut it.
    assertEquals(
        List.of(new Run("a\uD83D\uDD11", 0, 0, 0), new Run("b", 8, 4, 0)),
        runs(text, new int[] {0, 2}, new int[] {2, 4}, new int[] {0, 8}));
  }

  @Test
  void whatIsLongAndAlikeIsFolded() {
    String text = "x".repeat(1000) + "k" + "y".repeat(600);
    List<Run> runs =
        runs(text, new int[] {0, 1000, 1001}, new int[] {1000, 1001, 1601}, new int[] {0, 8, 0});

    assertEquals(
        List.of(160, 0, 160, 1, 600), runs.stream().map(run -> run.text().length()).toList());
    assertEquals(680, runs.get(1).folded());
    int[] tokens = IntStream.range(0, 100).toArray();
    String unfolded = "ab".repeat(100);
    String joined =
        runs(
                unfolded,
                IntStream.of(tokens).map(t -> 2 * t).toArray(),
                IntStream.of(tokens).map(t -> 2 * t + 2).toArray(),
                IntStream.of(tokens).map(t -> t * 7 % 9).toArray())
            .stream()
            .map(Run::text)
            .collect(Collectors.joining());
    assertEquals(unfolded, joined);
    assertTrue(runs.stream().allMatch(run -> run.level() <= Shading.LEVELS));
  }
}

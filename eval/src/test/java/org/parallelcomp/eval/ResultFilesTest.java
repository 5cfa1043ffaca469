package org.parallelcomp.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import javax.imageio.ImageIO;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.parallelcomp.eval.cases.Scoring;
import org.parallelcomp.report.AttentionProfile.Stage;

/** Cells, tables and pictures of cases written by hand. */
class ResultFilesTest {
  private static final int GREEN_AT_LEAST = 1000;

  @TempDir Path folder;

  private static CaseResult scored(
      String method, int tokens, double depth, @Nullable Double score, @Nullable String error) {
    return observed(method, tokens, depth, score, error, null);
  }

  private static CaseResult observed(
      String method,
      int tokens,
      double depth,
      @Nullable Double score,
      @Nullable String error,
      @Nullable List<LayerAttention> attention) {
    return keeping(1000, method, tokens, depth, score, error, attention);
  }

  private static CaseResult keeping(long bytes) {
    return keeping(bytes, "a", 4096, 0, 1.0, null, null);
  }

  private static CaseResult keeping(
      long bytes,
      String method,
      int tokens,
      double depth,
      @Nullable Double score,
      @Nullable String error,
      @Nullable List<LayerAttention> attention) {
    return new CaseResult(
        method + tokens + depth + score,
        method,
        "passkey",
        tokens,
        depth,
        score,
        null,
        0,
        null,
        "answer",
        List.of("12345"),
        error,
        "stop-token",
        tokens,
        8,
        1,
        bytes,
        4000,
        0.5,
        0.3,
        4,
        null,
        attention);
  }

  private static CaseResult measured(String method, int tokens, double nats, int scoredTokens) {
    return new CaseResult(
        method + tokens + nats,
        method,
        "ppl",
        tokens,
        null,
        null,
        nats,
        scoredTokens,
        null,
        "",
        List.of(),
        null,
        "max-tokens",
        tokens,
        1,
        1,
        10,
        10,
        1.0,
        1.0,
        scoredTokens,
        null,
        null);
  }

  private static EvalResult result(EvalSpec.Kind kind, List<String> methods, List<CaseResult> all) {
    return result(kind, methods, all, "cpu-vector");
  }

  private static EvalResult result(
      EvalSpec.Kind kind, List<String> methods, List<CaseResult> all, String backend) {
    var spec =
        new EvalSpec(
            kind,
            methods,
            List.of("passkey"),
            List.of(4096, 8192),
            List.of(0.0, 1.0),
            2,
            0,
            List.of(new FileFact("book", "00")),
            EvalSpec.Words.TASK,
            null,
            null,
            null,
            0,
            null,
            Scoring.STRING_MATCH_ALL,
            8,
            8,
            0,
            0,
            EvalSpec.Contexts.ANEW);
    var environment =
        new Environment(
            new FileFact("model.gguf", "ab"),
            "model",
            "cd",
            List.of(2),
            2048,
            backend,
            "processor",
            2,
            Map.of(),
            List.of("0", "1"),
            Map.of(),
            "1",
            "25",
            "Linux");
    return new EvalResult(EvalResult.FORMAT, spec, environment, Map.of(), Cell.of(all), all);
  }

  private static EvalResult needles() {
    return result(
        EvalSpec.Kind.NEEDLE,
        List.of("a"),
        List.of(
            scored("a", 4096, 0, 1.0, null),
            scored("a", 4096, 0, 0.0, null),
            scored("a", 4096, 1, 1.0, null),
            scored("a", 8192, 0, 1.0, null),
            scored("a", 8192, 0, null, "The plan asks to evict tokens, but did not."),
            scored("a", 8192, 1, 0.5, null)));
  }

  @Test
  void aCellIsTheMeanOfItsCasesAndHasNoScoreWithAnError() {
    List<Cell> cells = needles().cells();
    assertEquals(List.of(0.5, 1.0), List.of(cells.get(0).score(), cells.get(1).score()));
    assertEquals(2, cells.get(0).cases());
    assertNull(cells.get(2).score());
    assertEquals(1, cells.get(2).errors());
    assertEquals(1000, cells.get(0).keptBytes());
    assertEquals(0.1, cells.get(0).decodeSecondsPerToken(), 1e-12);
  }

  /** exp((8 ln 2 + 24 ln 8) / 32) = 2^(80/32). */
  @Test
  void perplexityIsOverAllTokens() {
    Cell cell =
        Cell.of(List.of(measured("a", 4096, Math.log(2), 8), measured("a", 4096, Math.log(8), 24)))
            .getFirst();
    assertEquals(Math.pow(2, 2.5), cell.perplexity(), 1e-9);
    assertNull(cell.score());
  }

  @Test
  void tablesShowErrorsAsErrors() {
    assertEquals(
        """
        | method | depth | 4K | 8K |
        | --- | --- | --- | --- |
        | `a` | 0 % | 0.50 | error |
        | `a` | 100 % | 1.00 | 0.50 |

        Error in 1 cases of `a`: The plan asks to evict tokens, but did not.
        """,
        ResultFiles.markdown(needles()));
    assertEquals(
        """
        method,task,tokens,depth,cases,errors,score,perplexity,divergence,kept_bytes,full_bytes,\
        prefill_seconds,decode_seconds_per_token
        a,passkey,4096,0.0,2,0,0.5,,,1000,4000,0.5,0.09999999999999999
        a,passkey,4096,1.0,1,0,1.0,,,1000,4000,0.5,0.09999999999999999
        a,passkey,8192,0.0,2,1,,,,1000,4000,0.5,0.09999999999999999
        a,passkey,8192,1.0,1,0,0.5,,,1000,4000,0.5,0.09999999999999999
        """,
        ResultFiles.csv(needles()));
  }

  private static CaseResult biased(double depth, double sink, double sinkDensity) {
    return observed(
        "a",
        4096,
        depth,
        1.0,
        null,
        List.of(
            new LayerAttention(0, Stage.READ, 0.1, sink, 0.2, 0.1, 0.3, sinkDensity, 1, 1.5),
            new LayerAttention(1, Stage.ANSWER, 0, 0, 0.9, 0, 0.1, 0, 3, 0)));
  }

  @Test
  void biasStandsByLayerAndStageAsTheMeanOfTheCases() {
    EvalResult result =
        result(EvalSpec.Kind.BIAS, List.of("a"), List.of(biased(0, 0.3, 2), biased(1, 0.4, 3)));
    assertEquals(
        """
        | method | task | 4K |
        | --- | --- | --- |
        | `a` | passkey | 1.00 |

        | method | layer | as read | as the answer begins |
        | --- | --- | --- | --- |
        | `a` | 1 | 0.10 0.35 0.20 0.10 sink |  |
        | `a` | 2 |  | 0.00 0.00 0.90 0.00 peak |
        """,
        ResultFiles.markdown(result));
  }

  @Test
  void attentionThatDiffersIsADifference() {
    EvalResult was = result(EvalSpec.Kind.BIAS, List.of("a"), List.of(biased(0, 0.3, 2)));
    EvalResult near = result(EvalSpec.Kind.BIAS, List.of("a"), List.of(biased(0, 0.3005, 2)));
    assertEquals(List.of(), Difference.ofCases(was, near, 1e-3));
    assertEquals(
        List.of("attention"),
        Difference.ofCases(was, near, 1e-4).stream().map(Difference::what).toList());
    EvalResult unseen =
        result(EvalSpec.Kind.BIAS, List.of("a"), List.of(scored("a", 4096, 0, 1.0, null)));
    assertEquals(
        List.of("case"),
        Difference.ofCases(was, result(EvalSpec.Kind.BIAS, List.of("a"), List.of()), 1).stream()
            .map(Difference::what)
            .toList());
    assertEquals(
        List.of("layers and stages observed"),
        Difference.ofCases(was, unseen, 1).stream().map(Difference::what).toList());
  }

  /** Another backend holds keys and values in another type. */
  @Test
  void bytesAreComparedOnTheSameBackendOnly() {
    List<CaseResult> before = List.of(keeping(1000));
    List<CaseResult> now = List.of(keeping(500));
    EvalResult here = result(EvalSpec.Kind.NEEDLE, List.of("a"), before);
    assertEquals(
        List.of("kept bytes"),
        Difference.ofCases(here, result(EvalSpec.Kind.NEEDLE, List.of("a"), now), 0).stream()
            .map(Difference::what)
            .toList());
    EvalResult there = result(EvalSpec.Kind.NEEDLE, List.of("a"), now, "cuda-ffm");
    assertEquals(List.of(), Difference.ofCases(here, there, 0));
  }

  @Test
  void filesAreReadAsTheyWereWritten() {
    EvalResult result = needles();
    List<Path> files = ResultFiles.write(result, folder.resolve("new/folder"), "needle");
    assertEquals(result, EvalResult.read(files.getFirst()));
    files.forEach(file -> assertTrue(Files.exists(file), file.toString()));
  }

  /** The cell that scores 1 is green, the one that scores 0.5 yellow, the error is left out. */
  @Test
  void theHeatMapHasTheColoursOfItsScores() throws IOException {
    ResultFiles.write(needles(), folder, "needle");
    BufferedImage picture = ImageIO.read(folder.resolve("needle.png").toFile());
    assertTrue(count(picture, 0x1a9850) > GREEN_AT_LEAST, "green");
    assertTrue(count(picture, 0xfee08b) > GREEN_AT_LEAST, "yellow");
    assertTrue(count(picture, 0xd73027) < GREEN_AT_LEAST, "no red but in the legend");
    assertTrue(Files.readString(folder.resolve("needle.svg")).contains("<svg"));
  }

  @Test
  void aMethodOfErrorsAloneHasNoPicture() {
    EvalResult result =
        result(
            EvalSpec.Kind.NEEDLE,
            List.of("a", "b"),
            List.of(scored("a", 4096, 0, 1.0, null), scored("b", 4096, 0, null, "Too much.")));
    List<String> files =
        ResultFiles.write(result, folder, "needle").stream()
            .map(file -> file.getFileName().toString())
            .toList();
    assertTrue(files.contains("needle-1-a.png"), files.toString());
    assertEquals(List.of(), files.stream().filter(name -> name.contains("-b.")).toList());
  }

  private static long count(BufferedImage picture, int colour) {
    long count = 0;
    for (int y = 0; y < picture.getHeight(); y++) {
      for (int x = 0; x < picture.getWidth(); x++) {
        count += (picture.getRGB(x, y) & 0xFFFFFF) == colour ? 1 : 0;
      }
    }
    return count;
  }

  @Test
  void perplexitiesAreDrawnAsLines() throws IOException {
    EvalResult result =
        result(
            EvalSpec.Kind.PPL,
            List.of("a", "b"),
            List.of(
                measured("a", 4096, 3, 8),
                measured("a", 8192, 6, 8),
                measured("b", 4096, 3, 8),
                measured("b", 8192, 3, 8)));
    ResultFiles.write(result, folder, "ppl");
    assertTrue(ImageIO.read(folder.resolve("ppl.png").toFile()).getWidth() > 100);
    assertEquals(
        """
        | method | 4K | 8K |
        | --- | --- | --- |
        | `a` | 20.09 | 403.43 |
        | `b` | 20.09 | 20.09 |
        """,
        ResultFiles.markdown(result));
  }
}

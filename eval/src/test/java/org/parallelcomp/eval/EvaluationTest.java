package org.parallelcomp.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.eval.cases.Scoring;
import org.parallelcomp.report.AttentionProfile.Stage;

/** Evaluations of the bundled model, small ones. */
class EvaluationTest {
  private static Engine engine;
  private static Environment environment;

  @TempDir Path folder;

  @BeforeAll
  static void open() throws IOException {
    engine = Engine.open(Bundled.config());
    environment = Environment.of(engine, Bundled.config(), Bundled.config().model(), "test");
  }

  @AfterAll
  static void close() {
    engine.close();
  }

  private static EvalSpec spec(
      EvalSpec.Kind kind,
      List<String> methods,
      List<String> tasks,
      List<Integer> lengths,
      @Nullable Path data,
      long kvBytes,
      int fidelityTokens) {
    return new EvalSpec(
        kind,
        methods,
        tasks,
        lengths,
        List.of(0.0, 1.0),
        1,
        0,
        kind == EvalSpec.Kind.PPL ? List.of(FileFact.of(Bundled.books().get(1))) : List.of(),
        EvalSpec.Words.TASK,
        null,
        null,
        null,
        0,
        data == null ? null : FileFact.of(data),
        Scoring.STRING_MATCH_ALL,
        kind == EvalSpec.Kind.PPL ? 16 : 0,
        kind == EvalSpec.Kind.PPL ? 8 : 0,
        kvBytes,
        fidelityTokens,
        EvalSpec.Contexts.ANEW);
  }

  private static EvalSpec needles(String... methods) {
    return spec(
        EvalSpec.Kind.NEEDLE,
        List.of(methods),
        List.of("passkey"),
        List.of(1024, 3072),
        null,
        0,
        0);
  }

  private EvalResult run(EvalSpec spec, String log) {
    return new Evaluation(List.of(engine), spec, environment)
        .run(
            CaseLog.open(folder.resolve(log), spec, environment),
            EvalListener.NONE,
            new Cancellation())
        .orElseThrow();
  }

  @Test
  void needlesAreFoundAndTheResultRepeatsItself() {
    EvalResult first = run(needles("parallelcomp"), "first");
    assertEquals(4, first.cases().size());
    first.cells().forEach(cell -> assertEquals(1.0, cell.score(), cell.toString()));
    first.cases().forEach(one -> assertTrue(one.keptBytes() < one.fullBytes(), one.toString()));
    assertEquals(FileFact.BUNDLED, environment.model().path());
    Path file = ResultFiles.write(first.withoutTimes(), folder, "needle").getFirst();
    EvalResult before = EvalResult.read(file);
    EvalResult again = run(before.spec(), "again");
    assertEquals(List.of(), Difference.ofCases(before, again, 0));
    assertEquals(List.of(), Difference.ofEnvironments(before.environment(), again.environment()));
  }

  @Test
  void whatDiffersIsSaid() {
    EvalResult first = run(needles("parallelcomp"), "first");
    CaseResult one = first.cases().get(1);
    List<CaseResult> cases = new ArrayList<>(first.cases());
    cases.set(
        1,
        new CaseResult(
            one.key(),
            one.method(),
            one.task(),
            one.tokens(),
            one.depth(),
            0.0,
            null,
            0,
            null,
            "wrong",
            one.expected(),
            null,
            one.finish(),
            one.textTokens(),
            one.chunks(),
            one.keptChunks(),
            one.keptBytes(),
            one.fullBytes(),
            9.0,
            9.0,
            one.answerTokens(),
            null,
            null));
    var tampered =
        new EvalResult(
            first.format(),
            first.spec(),
            first.environment(),
            first.plans(),
            Cell.of(cases),
            cases);
    List<Difference> differences = Difference.ofCases(tampered, first, 0);
    assertEquals(List.of("score", "answer"), differences.stream().map(Difference::what).toList());
    assertEquals(one.key(), differences.getFirst().where());
  }

  @Test
  void whatWasStoppedGoesOnAndNoCaseRunsTwice() throws IOException {
    EvalSpec spec = needles("parallelcomp");
    Path log = folder.resolve("log");
    var cancellation = new Cancellation();
    var begun = new ArrayList<String>();
    Optional<EvalResult> stopped =
        new Evaluation(List.of(engine), spec, environment)
            .run(
                CaseLog.open(log, spec, environment),
                new EvalListener() {
                  @Override
                  public void onCase(int done, int total, int now, long nanos, String what) {
                    begun.add(what);
                    if (done == 2) {
                      cancellation.cancel();
                    }
                  }
                },
                cancellation);
    assertTrue(stopped.isEmpty());
    assertEquals(3, begun.size());
    // The process is killed while it writes a line.
    Files.writeString(log, "{\"key\":\"half", StandardOpenOption.APPEND);
    assertEquals(2, CaseLog.open(log, spec, environment).done().size());

    var goneOn = new ArrayList<Integer>();
    EvalResult result =
        new Evaluation(List.of(engine), spec, environment)
            .run(
                CaseLog.open(log, spec, environment),
                new EvalListener() {
                  @Override
                  public void onCase(int done, int total, int now, long nanos, String what) {
                    goneOn.add(done);
                  }
                },
                new Cancellation())
            .orElseThrow();
    assertEquals(List.of(2, 3, 4), goneOn);
    assertEquals(4, result.cases().size());
    assertEquals(List.of(), Difference.ofCases(run(spec, "at once"), result, 0));
  }

  @Test
  void enginesShareTheCasesAndFindTheSame() throws IOException {
    EvalSpec spec =
        spec(
            EvalSpec.Kind.COMPARE,
            List.of("full", "parallelcomp", "streaming-llm"),
            List.of("passkey", "number"),
            List.of(1024),
            null,
            0,
            768);
    var heard = new ArrayList<Integer>();
    try (Engine second = Engine.open(Bundled.config());
        Engine third = Engine.open(Bundled.config())) {
      EvalResult shared =
          new Evaluation(List.of(engine, second, third), spec, environment)
              .run(
                  CaseLog.open(folder.resolve("shared"), spec, environment),
                  new EvalListener() {
                    @Override
                    public void onCase(int done, int total, int now, long nanos, String what) {
                      heard.add(done);
                    }
                  },
                  new Cancellation())
              .orElseThrow();
      EvalResult alone = run(spec, "alone");
      assertEquals(List.of(), Difference.ofCases(alone, shared, 0));
      assertEquals(
          alone.cases().stream().map(CaseResult::key).toList(),
          shared.cases().stream().map(CaseResult::key).toList());
      assertEquals(12, shared.cases().size());
      assertEquals(13, heard.size(), "each case begins once, and the end is told");
    }
  }

  @Test
  void whatIsThrownBesideOneEngineEndsThemAll() throws IOException {
    EvalSpec spec = needles("parallelcomp", "full");
    CaseLog log = CaseLog.open(folder.resolve("log"), spec, environment);
    var thrown = new IllegalStateException("broken");
    var broken =
        new EvalListener() {
          @Override
          public void onCase(int done, int total, int now, long nanos, String what) {
            throw thrown;
          }
        };
    try (Engine second = Engine.open(Bundled.config())) {
      var evaluation = new Evaluation(List.of(engine, second), spec, environment);
      assertSame(
          thrown,
          assertThrows(
              IllegalStateException.class, () -> evaluation.run(log, broken, new Cancellation())));
    }
    assertEquals(List.of(), log.done());
  }

  @Test
  void biasIsMeasuredStageByStageAndRepeatsItself() {
    String calibrated =
        "parallelcomp-paper + calibration=attention-threshold(ranges=0%-100%:sink:0.05)";
    EvalSpec spec =
        spec(
            EvalSpec.Kind.BIAS,
            List.of("parallelcomp-paper", calibrated),
            List.of("passkey"),
            List.of(3072),
            null,
            0,
            0);
    EvalResult result = run(spec, "log");
    assertEquals(2, result.cases().size());
    for (CaseResult one : result.cases()) {
      List<LayerAttention> attention = Objects.requireNonNull(one.attention());
      assertEquals(engine.model().layers(), attention.getLast().layer() + 1);
      for (LayerAttention layer : attention) {
        assertEquals(
            1,
            layer.prefix() + layer.sink() + layer.middle() + layer.recent() + layer.query(),
            1e-4,
            layer.toString());
      }
    }
    assertFalse(stages(result.cases().getFirst()).contains(Stage.CALIBRATED));
    assertTrue(stages(result.cases().getLast()).contains(Stage.CALIBRATED));
    Path file = ResultFiles.write(result.withoutTimes(), folder, "bias").getFirst();
    assertEquals(List.of(), Difference.ofCases(EvalResult.read(file), run(spec, "again"), 1e-6));
  }

  private static List<Stage> stages(CaseResult one) {
    return Objects.requireNonNull(one.attention()).stream()
        .map(LayerAttention::stage)
        .distinct()
        .toList();
  }

  @Test
  void casesOfSomethingElseAreNotGoneOnWith() {
    CaseLog.open(folder.resolve("log"), needles("parallelcomp"), environment);
    assertThrows(
        InferenceException.class,
        () -> CaseLog.open(folder.resolve("log"), needles("full"), environment));
  }

  @Test
  void aRunThatWasAskedToCompressAndDidNotIsAnErrorAndNoScore() {
    EvalResult result =
        run(
            needles(
                "parallelcomp + merge=reread",
                "parallelcomp + budget.keep=100000",
                "parallelcomp + chunking=fixed(tokens=900) + chunk-scorer=last + budget.keep=900",
                "parallelcomp + chunking=fixed(tokens=900) + chunk-scorer=last",
                "parallelcomp + budget=everything"),
            "log");
    for (CaseResult one : result.cases()) {
      // The text's end may be shorter than the budget, where chunks before it are not.
      if (one.method().endsWith("everything") || one.method().endsWith("last")) {
        assertNotNull(one.score());
        assertNull(one.error());
      } else {
        assertNull(one.score(), one.toString());
        assertTrue(String.valueOf(one.error()).startsWith("The plan asks to evict"), one.error());
      }
    }
    assertTrue(ResultFiles.markdown(result).contains("error"));
  }

  @Test
  void truncationFindsWhatIsInItsWindowOnly() {
    EvalSpec spec =
        new EvalSpec(
            EvalSpec.Kind.NEEDLE,
            List.of("truncation"),
            List.of("passkey"),
            List.of(6144),
            List.of(0.0, 0.5, 1.0),
            1,
            0,
            List.of(),
            EvalSpec.Words.TASK,
            null,
            null,
            null,
            0,
            null,
            Scoring.STRING_MATCH_ALL,
            0,
            0,
            0,
            0,
            EvalSpec.Contexts.ANEW);
    EvalResult result = run(spec, "log");
    assertEquals(List.of(1.0, 0.0, 1.0), result.cases().stream().map(CaseResult::score).toList());
    result
        .cases()
        .forEach(one -> assertTrue(one.textTokens() <= 2048, "tokens: " + one.textTokens()));
  }

  @Test
  void perplexityIsFarWorsePastTheWindowUnlessSomethingIsDone() {
    EvalResult result =
        run(
            spec(
                EvalSpec.Kind.PPL,
                List.of("full", "truncation", "yarn", "streaming-llm"),
                List.of(),
                List.of(1536, 8192),
                null,
                0,
                0),
            "log");
    double within = perplexity(result, "full", 1536);
    double past = perplexity(result, "full", 8192);
    assertTrue(past > 2 * perplexity(result, "truncation", 8192), result.cells().toString());
    assertTrue(past > 2 * perplexity(result, "streaming-llm", 8192), result.cells().toString());
    assertTrue(past > perplexity(result, "yarn", 8192), result.cells().toString());
    assertEquals(within, perplexity(result, "yarn", 1536), "nothing is scaled within the window");
    assertTrue(within > 1 && within < 1000, "perplexity " + within);
  }

  private static double perplexity(EvalResult result, String method, int tokens) {
    return result.cells().stream()
        .filter(cell -> cell.method().equals(method) && cell.tokens() == tokens)
        .map(Cell::perplexity)
        .findFirst()
        .orElseThrow();
  }

  @Test
  void plansAreComparedAtTheSameBytesAndWithFullAttention() {
    long bytes = 200L * engine.model().cacheBytesPerToken();
    List<String> methods =
        List.of("full", "truncation", "snapkv", "parallelcomp", "parallelcomp-reread");
    EvalResult result =
        run(
            spec(
                EvalSpec.Kind.COMPARE,
                methods,
                List.of("number"),
                List.of(1536),
                null,
                bytes,
                1024),
            "log");
    for (CaseResult one : result.cases()) {
      assertNull(one.error(), one.toString());
      boolean fidelity = one.task().equals("fidelity");
      assertEquals(fidelity, one.divergence() != null, one.toString());
      if (one.method().equals("full")) {
        assertTrue(one.keptBytes() > 4 * bytes, one.toString());
      } else if (!one.method().equals("truncation")) {
        // The words before the text are kept beside the budget.
        assertEquals(bytes, one.keptBytes(), 0.2 * bytes, one.toString());
      }
      if (fidelity && one.method().equals("full")) {
        assertEquals(0, one.divergence(), 1e-6);
      } else if (fidelity) {
        assertTrue(one.divergence() > 0, one.toString());
      }
    }
    assertTrue(ResultFiles.markdown(result).contains("| `snapkv` |"));
  }

  @Test
  void questionsOfAFileAreAskedAndScored() throws IOException {
    Path file = folder.resolve("questions.jsonl");
    Files.writeString(
        file,
        """
        {"context": "Tom went home. Mira keeps the silver key in the lighthouse. It rained.", \
        "question": "Where does Mira keep the silver key?", "answer_prefix": "", \
        "answer": ["lighthouse", "nowhere"], "max_new_tokens": 16, "task": "own"}

        {"context": "Tom went home. The pass key is 48213. Remember it. 48213 is the pass key.", \
        "question": "What is the pass key?", "answer": 48213, "max_new_tokens": 8}
        """);
    EvalResult result =
        run(spec(EvalSpec.Kind.JSONL, List.of("full"), List.of(), List.of(), file, 0, 0), "log");
    assertEquals(List.of("own", "jsonl"), result.cases().stream().map(CaseResult::task).toList());
    assertEquals(List.of(0.5, 1.0), result.cases().stream().map(CaseResult::score).toList());
  }

  private static EvalSpec questions(Path file, EvalSpec.Contexts contexts, String... methods) {
    return new EvalSpec(
        EvalSpec.Kind.JSONL,
        List.of(methods),
        List.of(),
        List.of(),
        List.of(),
        1,
        0,
        List.of(),
        EvalSpec.Words.TASK,
        null,
        null,
        null,
        0,
        FileFact.of(file),
        Scoring.STRING_MATCH_ALL,
        0,
        0,
        0,
        0,
        contexts);
  }

  /** Two contexts with two questions each, a third with one; contexts take turns. */
  private Path severalQuestions() throws IOException {
    String grass = "The grass is green, the sky is blue, the sun is yellow. ".repeat(12);
    String lisbon = grass + "The special magic number for Lisbon is: 8412067. " + grass;
    String both =
        grass
            + "The special magic number for Quito is: 1357924. "
            + grass
            + "Mira keeps the silver key in the lighthouse. ";
    StringBuilder lines = new StringBuilder();
    for (List<String> row :
        List.of(
            List.of(both, "What is the special magic number for Quito?", "1357924", "16"),
            List.of(lisbon, "What is the special magic number for Lisbon?", "8412067", "20"),
            List.of(both, "Where does Mira keep the silver key?", "lighthouse", "12"),
            List.of(grass, "What colour is the sky?", "blue", "4"),
            List.of(lisbon, "What is the number?", "8412067", "8"))) {
      lines.append(
          String.format(
              "{\"context\": \"%s\", \"question\": \"%s\", \"answer\": \"%s\","
                  + " \"max_new_tokens\": %s, \"answer_prefix\": \"\"}%n",
              row.toArray()));
    }
    return Files.writeString(folder.resolve("several.jsonl"), lines);
  }

  private static List<String> contexts(EvalResult result, String method) {
    return result.cases().stream()
        .filter(one -> one.method().equals(method))
        .map(CaseResult::context)
        .toList();
  }

  @Test
  void aContextIsReadOnceWhereThatChangesNoAnswer() throws IOException {
    Path file = severalQuestions();
    String looks = "parallelcomp + chunking.tokens=120 + budget.keep=60";
    String doesNot = "keydiff + budget.keep=100";
    EvalResult anew = run(questions(file, EvalSpec.Contexts.ANEW, looks, doesNot), "anew");
    EvalSpec spec = questions(file, EvalSpec.Contexts.AUTO, looks, doesNot);
    EvalResult auto = run(spec, "auto");
    assertEquals(List.of(), Difference.ofCases(anew, auto, 0));
    assertEquals(List.of("anew", "anew", "anew", "anew", "anew"), contexts(auto, looks));
    assertEquals(List.of("shared", "shared", "shared", "anew", "shared"), contexts(auto, doesNot));
    assertEquals(contexts(anew, looks), contexts(anew, doesNot));
    String table = ResultFiles.markdown(auto);
    assertTrue(
        table.contains("Contexts of `" + doesNot + "`: read once for all their questions"), table);
    // The reading's time counts in the first question of each context.
    List<CaseResult> shared =
        auto.cases().stream().filter(one -> "shared".equals(one.context())).toList();
    assertTrue(shared.get(0).prefillSeconds() > shared.get(2).prefillSeconds(), "Quito, Mira");
    assertTrue(shared.get(1).prefillSeconds() > shared.get(3).prefillSeconds(), "Lisbon");
    EvalResult again = EvalResult.read(ResultFiles.write(auto, folder, "auto").getFirst());
    assertEquals(auto, again);

    // What was stopped between two questions of a context reads it once more.
    List<String> log = Files.readAllLines(folder.resolve("auto"));
    Files.write(folder.resolve("half"), log.subList(0, 4));
    assertEquals(List.of(), Difference.ofCases(auto, run(spec, "half"), 0));
  }

  @Test
  void allQuestionsMayChooseAContextTogetherOrNone() throws IOException {
    Path file = severalQuestions();
    String plan = "parallelcomp-reread + chunking.tokens=100 + chunk-eviction.chunks=3";
    EvalResult joint = run(questions(file, EvalSpec.Contexts.JOINT, plan), "joint");
    assertEquals(List.of("joint", "joint", "joint", "joint", "joint"), contexts(joint, plan));
    assertEquals(1.0, joint.cases().getFirst().score(), joint.cases().getFirst().toString());
    assertEquals(1.0, joint.cases().get(1).score(), joint.cases().get(1).toString());
    assertEquals(joint.cases().get(0).keptChunks(), joint.cases().get(2).keptChunks());

    String unasked = "snapkv + budget.keep=100";
    EvalResult unseen = run(questions(file, EvalSpec.Contexts.UNSEEN, unasked), "unseen");
    assertEquals(5, contexts(unseen, unasked).stream().filter("unseen"::equals).count());
    unseen.cases().forEach(one -> assertNull(one.error(), one.toString()));
    unseen.cases().forEach(one -> assertTrue(one.keptBytes() < one.fullBytes(), one.toString()));

    for (EvalSpec refused :
        List.of(
            questions(file, EvalSpec.Contexts.UNSEEN, plan),
            questions(
                file,
                EvalSpec.Contexts.JOINT,
                "parallelcomp + schedule=while-decoding(every=16, tokens=200)"))) {
      assertThrows(
          InferenceException.class, () -> new Evaluation(List.of(engine), refused, environment));
    }
  }

  @Test
  void aFaultInAFileIsToldWithItsLine() throws IOException {
    Path file = folder.resolve("questions.jsonl");
    Files.writeString(file, "\n{\"context\": \"a\", \"answer\": \"b\"}\n");
    EvalSpec spec = spec(EvalSpec.Kind.JSONL, List.of("full"), List.of(), List.of(), file, 0, 0);
    var refusal =
        assertThrows(
            InferenceException.class, () -> new Evaluation(List.of(engine), spec, environment));
    assertTrue(refusal.getMessage().contains("line 2"), refusal.getMessage());
    Files.writeString(file, "{}");
    assertFalse(
        assertThrows(
                InferenceException.class, () -> new Evaluation(List.of(engine), spec, environment))
            .getMessage()
            .contains("line"),
        "the file is another now");
  }

  @Test
  void unknownNamesAreRefusedBeforeTheFirstCase() {
    for (EvalSpec spec :
        List.of(
            needles("parallelcmop"),
            needles("parallelcomp + budget.keep=many"),
            spec(
                EvalSpec.Kind.NEEDLE,
                List.of("full"),
                List.of("niah_single_1"),
                List.of(1024),
                null,
                0,
                0))) {
      assertThrows(
          InferenceException.class,
          () -> new Evaluation(List.of(engine), spec, environment),
          spec.toString());
    }
  }
}

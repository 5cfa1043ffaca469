package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.ChunkEvidence;
import org.parallelcomp.api.evidence.Evidence;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.ChunkScorer;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.engine.text.PromptParts;

/** What policies are shown, against its definition in double precision, on needle-6m. */
class EvidenceTest {
  private static TestModel model;
  private static PromptParts prompt;
  private static int[] textIds;

  @BeforeAll
  static void open() {
    model = TestModel.needle();
    prompt = model.prompt("What is the number for Lisbon?");
    textIds = model.ids("The grass is green. The special number for Lisbon is 42. ".repeat(9));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Plan plan() {
    return model
        .catalog
        .preset("parallelcomp")
        .plan()
        .with(PolicyKind.CHUNKING, "tokens", 100)
        .with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=20)"));
  }

  /** Prefills the text; in each layer of its first chunk the observer is shown the evidence. */
  private static void observe(
      Set<Evidence> declared, int window, BiConsumer<LayerEvidence, TensorOps> observer) {
    observe(prompt, declared, window, observer);
  }

  private static void observe(
      PromptParts prompt,
      Set<Evidence> declared,
      int window,
      BiConsumer<LayerEvidence, TensorOps> observer) {
    var seen = new HashMap<Integer, Integer>();
    TokenScorer scorer =
        new TokenScorer() {
          @Override
          public Set<Evidence> requires() {
            return declared;
          }

          @Override
          public int windowTokens(int queryTokens) {
            return window;
          }

          @Override
          public Tensor score(LayerEvidence evidence, TensorOps ops) {
            if (seen.merge(evidence.layer(), 1, Integer::sum) == 1) {
              observer.accept(evidence, ops);
            }
            return ops.full(Shape.of(evidence.kvHeads(), evidence.contextTokens()), 0);
          }
        };
    run(plan(), prompt, scorer, null);
    assertEquals(model.source.config().layers(), seen.size());
  }

  private static void run(
      Plan plan,
      PromptParts prompt,
      @Nullable TokenScorer scorer,
      @Nullable ChunkScorer chunkScorer) {
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, plan, prompt, textIds, 8);
      Policies p = request.policies();
      var policies =
          new Policies(
              p.plan(),
              p.chunking(),
              chunkScorer == null ? p.chunkScorer() : chunkScorer,
              p.chunkEviction(),
              p.budget(),
              scorer == null ? p.tokenScorer() : scorer,
              p.selector(),
              p.calibration(),
              p.schedule(),
              p.merge());
      request =
          new ContextRequest(
              List.of(new Session(request.backend(), scope, request.decoder())),
              policies,
              request.weightBytes(),
              prompt,
              textIds,
              request.sentenceEnds(),
              request.paragraphEnds(),
              8,
              request.cancellation(),
              request.progress(),
              Tracer.OFF);
      ParallelContext.build(request, request.chunks());
    }
  }

  private static float[] host(Tensor tensor) {
    return model.backend.host().copyToHostFloats(tensor);
  }

  @Test
  void columnSumsOfTheWholePassAreThoseOfItsSoftmax() {
    observe(
        new PromptParts(new int[0], prompt.query(), prompt.questionFrom(), prompt.questionTo()),
        EnumSet.of(
            Evidence.ATTENTION_MASS,
            Evidence.KEYS,
            Evidence.CONTEXT_QUERIES,
            Evidence.WINDOW_QUERIES),
        LayerEvidence.WHOLE_PASS,
        (evidence, ops) -> {
          int n = evidence.contextTokens();
          int d = evidence.headDim();
          int group = evidence.queryHeads() / evidence.kvHeads();
          float[] all = host(evidence.windowQueries(LayerEvidence.WHOLE_PASS));
          int rows = all.length / evidence.queryHeads() / d;
          assertEquals(n + evidence.queryTokens(), rows);
          float[] context = host(evidence.contextQueries());
          float[] mass = host(evidence.attentionMass(LayerEvidence.WHOLE_PASS, HeadReduction.NONE));
          float[] behind = host(evidence.attentionMass(0, HeadReduction.NONE));
          for (int head = 0; head < evidence.queryHeads(); head++) {
            assertArrayEquals(
                Arrays.copyOfRange(context, head * n * d, (head + 1) * n * d),
                Arrays.copyOfRange(all, head * rows * d, (head * rows + n) * d));
            double total = 0;
            for (int j = 0; j < n; j++) {
              total += mass[head * n + j];
              assertTrue(mass[head * n + j] >= behind[head * n + j], "more rows, more mass");
            }
            assertTrue(total <= rows, "a row gives one at most");
          }
          // Nothing stands before the context here, so its own rows see nothing else.
          assertEquals(0, evidence.prefixTokens());
          float[] keys = host(evidence.keys());
          for (int head = 0; head < evidence.queryHeads(); head++) {
            double[] plain = columnSums(context, keys, n, d, head, group);
            for (int j = 0; j < n; j++) {
              assertEquals(plain[j], mass[head * n + j] - behind[head * n + j], 1e-3, "key " + j);
            }
          }
        });
  }

  /** Causal softmax of a head's context rows, summed over the rows. */
  private static double[] columnSums(
      float[] queries, float[] keys, int n, int d, int head, int group) {
    double[] sums = new double[n];
    for (int i = 0; i < n; i++) {
      double[] e = new double[i + 1];
      double total = 0;
      for (int j = 0; j <= i; j++) {
        double dot = 0;
        for (int c = 0; c < d; c++) {
          dot += (double) queries[(head * n + i) * d + c] * keys[(head / group * n + j) * d + c];
        }
        e[j] = Math.exp(dot / Math.sqrt(d));
        total += e[j];
      }
      for (int j = 0; j <= i; j++) {
        sums[j] += e[j] / total;
      }
    }
    return sums;
  }

  @Test
  void whatWasRotatedBackIsThereAgainOnceRotated() {
    observe(
        EnumSet.of(
            Evidence.KEYS,
            Evidence.UNROTATED_KEYS,
            Evidence.CONTEXT_QUERIES,
            Evidence.UNROTATED_QUERIES),
        0,
        (evidence, ops) -> {
          assertTrue(evidence.prefixTokens() > 0, "positions must not start at 0");
          assertRotatesTo(evidence.unrotatedKeys(), evidence.keys(), evidence);
          assertRotatesTo(evidence.unrotatedContextQueries(), evidence.contextQueries(), evidence);
        });
  }

  /** RoPE in double precision: token j stands at position prefixTokens + j. */
  private static void assertRotatesTo(Tensor unrotated, Tensor rotated, LayerEvidence evidence) {
    float[] before = host(unrotated);
    float[] after = host(rotated);
    int d = evidence.headDim();
    int n = evidence.contextTokens();
    double most = 0;
    for (int row = 0; row < before.length / d; row++) {
      double[] expected = rotate(before, row * d, d, evidence.prefixTokens() + row % n);
      for (int c = 0; c < d; c++) {
        assertEquals(expected[c], after[row * d + c], 2e-4 * Math.max(1, Math.abs(expected[c])));
        most = Math.max(most, Math.abs(before[row * d + c] - after[row * d + c]));
      }
    }
    assertTrue(most > 0.1, "rotation must show");
  }

  private static double[] rotate(float[] x, int at, int d, int position) {
    var rope = model.source.config().rope();
    int pairs = rope.inverseFrequencies().length;
    boolean interleaved = rope.style() == Rope.Style.INTERLEAVED;
    double[] out = new double[d];
    Arrays.setAll(out, c -> x[at + c]);
    for (int pair = 0; pair < pairs; pair++) {
      double angle = (double) position * rope.inverseFrequencies()[pair];
      int a = interleaved ? 2 * pair : pair;
      int b = interleaved ? 2 * pair + 1 : pair + pairs;
      out[a] = x[at + a] * Math.cos(angle) - x[at + b] * Math.sin(angle);
      out[b] = x[at + a] * Math.sin(angle) + x[at + b] * Math.cos(angle);
    }
    return out;
  }

  @Test
  void theMeanRotationIsTheMeanOfRotatedVectors() {
    observe(
        EnumSet.of(Evidence.MEAN_ROTATION),
        0,
        (evidence, ops) -> {
          int d = evidence.headDim();
          int count = 37;
          int first = evidence.prefixTokens() + evidence.contextTokens();
          float[] x = new float[d];
          for (int c = 0; c < d; c++) {
            x[c] = (float) Math.sin(3 * c + 1);
          }
          double[] expected = new double[d];
          for (int position = first; position < first + count; position++) {
            double[] rotated = rotate(x, 0, d, position);
            for (int c = 0; c < d; c++) {
              expected[c] += rotated[c] / count;
            }
          }
          Tensor mean = evidence.meanRotation(count);
          float[] actual = host(ops.matmul(mean, ops.constant(Shape.of(d, 1), x)));
          for (int c = 0; c < d; c++) {
            assertEquals(expected[c], actual[c], 1e-4, "dimension " + c);
          }
        });
  }

  @Test
  void theOutputProjectionIsWhatTheLayerMultipliesBy() {
    observe(
        EnumSet.of(Evidence.OUTPUT_PROJECTION),
        0,
        (evidence, ops) -> {
          Tensor weight = model.weights.attention().get(evidence.layer()).output();
          float[] expected = host(weight);
          Tensor projection = evidence.outputProjection();
          int hidden = model.source.config().hiddenDim();
          int inner = evidence.queryHeads() * evidence.headDim();
          assertEquals(
              Shape.of(evidence.queryHeads(), evidence.headDim(), hidden), projection.shape());
          float[] actual = host(projection);
          for (int i = 0; i < inner; i += 7) {
            for (int o = 0; o < hidden; o += 5) {
              assertEquals(expected[o * inner + i], actual[i * hidden + o], 1e-6);
            }
          }
        });
  }

  @Test
  void undeclaredEvidenceIsRefused() {
    for (Evidence missing :
        EnumSet.of(
            Evidence.CONTEXT_QUERIES,
            Evidence.UNROTATED_KEYS,
            Evidence.UNROTATED_QUERIES,
            Evidence.MEAN_ROTATION,
            Evidence.OUTPUT_PROJECTION)) {
      Map<Evidence, Function<LayerEvidence, Tensor>> calls =
          Map.of(
              Evidence.CONTEXT_QUERIES, LayerEvidence::contextQueries,
              Evidence.UNROTATED_KEYS, LayerEvidence::unrotatedKeys,
              Evidence.UNROTATED_QUERIES, LayerEvidence::unrotatedContextQueries,
              Evidence.MEAN_ROTATION, e -> e.meanRotation(1),
              Evidence.OUTPUT_PROJECTION, LayerEvidence::outputProjection);
      observe(
          EnumSet.complementOf(EnumSet.of(missing)),
          1,
          (evidence, ops) ->
              assertThrows(InferenceException.class, () -> calls.get(missing).apply(evidence)));
    }
  }

  @Test
  void chunkScorersSeePriorAndTokens() {
    int[] calls = {0};
    ChunkScorer scorer =
        new ChunkScorer() {
          @Override
          public Set<Evidence> requires() {
            return EnumSet.of(
                Evidence.QUESTION_LIKELIHOOD, Evidence.QUESTION_PRIOR, Evidence.TOKEN_IDS);
          }

          @Override
          public double score(ChunkEvidence evidence) {
            int[] question =
                Arrays.copyOfRange(prompt.query(), prompt.questionFrom(), prompt.questionTo());
            assertArrayEquals(question, evidence.texts().orElseThrow().question());
            assertEquals(
                evidence.tokens(),
                evidence.texts().orElseThrow().chunks().get(evidence.chunk()).length);
            assertEquals(question.length, evidence.questionLogLikelihoods().size());
            assertArrayEquals(
                plainPrior(question), toFloats(evidence.priorLogLikelihoods()), 1e-3f);
            return calls[0]++;
          }
        };
    run(plan(), prompt, null, scorer);
    assertTrue(calls[0] > 1);
  }

  /** The question's log-likelihoods, one token at a time, from whole rows of logits. */
  private static float[] plainPrior(int[] question) {
    float[] prior = new float[question.length];
    int[] before =
        ChunkPrefill.concat(prompt.prefix(), Arrays.copyOf(prompt.query(), prompt.questionFrom()));
    for (int i = 0; i < question.length; i++) {
      float[] logits =
          model.continuation(ChunkPrefill.concat(before, Arrays.copyOf(question, i)), 0).logits();
      double sum = 0;
      for (float logit : logits) {
        sum += Math.exp(logit);
      }
      prior[i] = (float) (logits[question[i]] - Math.log(sum));
    }
    return prior;
  }

  private static float[] toFloats(List<Float> numbers) {
    float[] floats = new float[numbers.size()];
    for (int i = 0; i < floats.length; i++) {
      floats[i] = numbers.get(i);
    }
    return floats;
  }

  @Test
  void aRollingCacheHasNoQueriesOfItsContext() {
    Plan rolling = model.catalog.preset("streaming-llm").plan();
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, rolling, prompt, textIds, 8);
      Policies p = request.policies();
      var eviction =
          TokenEviction.perChunk(
              new Policies(
                  p.plan(),
                  p.chunking(),
                  p.chunkScorer(),
                  p.chunkEviction(),
                  p.budget(),
                  contextScorer(),
                  p.selector(),
                  p.calibration(),
                  p.schedule(),
                  p.merge()),
              model.decoder.cacheFormat(),
              1);
      var refused =
          assertThrows(
              InferenceException.class, () -> eviction.requireNoContextQueries("while decoding"));
      assertTrue(refused.getMessage().contains("CONTEXT_QUERIES"), refused.getMessage());
    }
  }

  private static TokenScorer contextScorer() {
    return new TokenScorer() {
      @Override
      public Set<Evidence> requires() {
        return EnumSet.of(Evidence.CONTEXT_QUERIES);
      }

      @Override
      public Tensor score(LayerEvidence evidence, TensorOps ops) {
        throw new AssertionError();
      }
    };
  }
}

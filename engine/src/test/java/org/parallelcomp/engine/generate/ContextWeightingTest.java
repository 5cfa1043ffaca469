package org.parallelcomp.engine.generate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.text.PromptParts;

/** APE and the re-weighting of sinks in the path of a question. */
class ContextWeightingTest {
  private static TestModel model;
  private static PromptParts prompt;
  private static int[] textIds;

  @BeforeAll
  static void open() {
    model = TestModel.needle();
    prompt = model.prompt("What is the number for Lisbon?");
    textIds =
        model.ids("The grass is green, the sky is blue. The number for Lisbon is 42. ".repeat(9));
  }

  @AfterAll
  static void close() {
    model.close();
  }

  private static Plan plan(String merge, String calibration) {
    return model
        .catalog
        .preset("parallelcomp")
        .plan()
        .with(PolicyKind.CHUNKING, "tokens", 80)
        .with(PolicyKind.CHUNK_EVICTION, "chunks", 2)
        .with(PolicyKind.BUDGET, PolicySpec.parse("tokens(keep=40)"))
        .with(PolicyKind.MERGE, PolicySpec.parse(merge))
        .with(PolicyKind.CALIBRATION, PolicySpec.parse(calibration));
  }

  private static float[] logits(Plan plan) {
    try (MemoryScope scope = model.scope.child("run")) {
      ContextRequest request = model.request(scope, plan, prompt, textIds, 8);
      return model.step(request, ParallelContext.build(request, request.chunks()));
    }
  }

  @Test
  void weightsOfOneChangeNothing() {
    float[] plain = logits(plan("parallel", "none"));
    assertArrayEquals(plain, logits(plan("ape(temperature=1.0, scale=1.0)", "none")), 2e-4f, "ape");
    assertArrayEquals(
        plain, logits(plan("parallel", "attention-reweight(beta=1.0)")), 2e-4f, "reweight");
    for (Plan changed :
        List.of(
            plan("ape(temperature=0.5, scale=0.8)", "none"),
            plan("parallel", "attention-reweight(beta=0.0, sinks=20)"))) {
      float[] logits = logits(changed);
      double most = 0;
      for (int i = 0; i < logits.length; i++) {
        most = Math.max(most, Math.abs(logits[i] - plain[i]));
      }
      assertTrue(most > 0.01 && most < 1000, most + " is what the weights change");
    }
  }

  @Test
  void raggedCachesAreWeighedHeadByHead() {
    String threshold = "attention-threshold(ranges=0%-100%:middle:0.002, equalise=false)";
    assertArrayEquals(
        logits(plan("parallel", threshold)),
        logits(plan("ape(temperature=1.0, scale=1.0)", threshold)),
        2e-4f);
  }

  @Test
  void oneChunkIsWeighedToo() {
    Plan one =
        plan("parallel", "none")
            .with(PolicyKind.CHUNKING, "tokens", 1000)
            .with(PolicyKind.CHUNK_SCORER, PolicySpec.of("none"))
            .with(PolicyKind.CHUNK_EVICTION, PolicySpec.of("all"))
            .with(PolicyKind.BUDGET, PolicySpec.of("everything"));
    float[] plain = logits(one);
    assertArrayEquals(
        plain,
        logits(one.with(PolicyKind.MERGE, PolicySpec.parse("ape(temperature=1.0, scale=1.0)"))),
        2e-4f);
    float[] weighed =
        logits(one.with(PolicyKind.MERGE, PolicySpec.parse("ape(temperature=0.5, scale=0.8)")));
    assertTrue(Math.abs(weighed[0] - plain[0]) > 1e-3);
  }

  @Test
  void whatCannotGoTogetherIsRefused() {
    int layers = model.source.config().layers();
    for (Plan plan :
        List.of(
            plan("ape", "attention-reweight"),
            plan("ape", "none").with(PolicyKind.SCHEDULE, PolicySpec.of("merged")),
            plan("parallel", "attention-reweight")
                .with(PolicyKind.SCHEDULE, PolicySpec.of("while-decoding")))) {
      assertRefused(plan, layers, "do not go together");
    }
    for (Plan plan :
        List.of(
            plan("reread", "attention-reweight"),
            model
                .catalog
                .preset("streaming-llm")
                .plan()
                .with(PolicyKind.MERGE, PolicySpec.of("ape")))) {
      assertRefused(plan, layers, "would have no effect");
    }
  }

  private static void assertRefused(Plan plan, int layers, String because) {
    Policies policies = Policies.create(plan, model.catalog);
    var refused =
        assertThrows(InferenceException.class, () -> policies.requireWeighingFits(layers));
    assertTrue(refused.getMessage().contains(because), refused.getMessage());
  }
}

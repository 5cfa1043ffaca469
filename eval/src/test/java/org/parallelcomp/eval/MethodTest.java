package org.parallelcomp.eval;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.RopeScaling;

/** Plans as texts. */
class MethodTest {
  private static Plan preset(String name) {
    return Engine.policies().preset(name).plan();
  }

  @Test
  void changesApplyInOrder() {
    Method method =
        Method.parse(
            "parallelcomp + budget=fraction(keep=0.5) + budget.keep=0.25 + merge=reread",
            MethodTest::preset);
    assertEquals("fraction(keep=0.25)", method.plan().policy(PolicyKind.BUDGET).toString());
    assertEquals("reread", method.plan().policy(PolicyKind.MERGE).name());
    assertEquals("parallelcomp", method.plan().name());
    assertEquals(Method.UNCUT, method.cutTokens());
  }

  @Test
  void comparisonsAreFullAttentionWithSomethingElse() {
    Method truncation = Method.parse("truncation", MethodTest::preset);
    assertEquals(preset("full"), truncation.plan());
    assertEquals(Method.WINDOW, truncation.cutTokens());
    assertEquals(
        RopeScaling.Method.YARN, Method.parse("yarn", MethodTest::preset).ropeScaling().method());
    Method ntk = Method.parse("ntk + cut=100", MethodTest::preset);
    assertEquals(RopeScaling.Method.NTK, ntk.ropeScaling().method());
    assertEquals(100, ntk.cutTokens());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "nothing",
        "full + budgte.keep=3",
        "full + rope=linear",
        "full + cut=all",
        "full + keep",
        "full + budget=tokens(keep"
      })
  void whatIsNoPlanIsRefusedInOneSentence(String text) {
    var refusal =
        assertThrows(InferenceException.class, () -> Method.parse(text, MethodTest::preset));
    assertTrue(refusal.getMessage().length() > 20, refusal.getMessage());
  }
}

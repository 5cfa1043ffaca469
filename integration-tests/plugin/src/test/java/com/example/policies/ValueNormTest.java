package com.example.policies;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.lang.reflect.Proxy;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.LayerEvidence;
import org.parallelcomp.api.policy.TokenScorer;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;

/** The policy against its formula, on the kit's oracle. */
class ValueNormTest {
  @Test
  void scoresAreNormsOfTheNeighbourhood() {
    try (var backend = new ReferenceBackend();
        MemoryScope scope = backend.openScope("test")) {
      TensorOps ops = backend.tensorOps(scope);
      Tensor values = ops.constant(Shape.of(1, 4, 2), new float[] {3, 4, 0, 0, 0, 1, 0, 0});
      // Evidence of which only the values are asked for, as the policy declares.
      var evidence =
          (LayerEvidence)
              Proxy.newProxyInstance(
                  getClass().getClassLoader(),
                  new Class<?>[] {LayerEvidence.class},
                  (proxy, method, arguments) -> {
                    assertEquals("values", method.getName());
                    return values;
                  });
      TokenScorer scorer = ValueNorm.FACTORY.create(Map.of("pool", "3"));
      assertArrayEquals(
          new float[] {5, 5, 1, 1}, backend.host().copyToHostFloats(scorer.score(evidence, ops)));
    }
  }

  @Test
  void unknownParametersAreRefused() {
    assertThrows(InferenceException.class, () -> ValueNorm.FACTORY.create(Map.of("pol", "3")));
  }
}

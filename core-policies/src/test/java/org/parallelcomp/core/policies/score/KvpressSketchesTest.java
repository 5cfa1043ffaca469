package org.parallelcomp.core.policies.score;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;
import org.parallelcomp.core.policies.KvpressGoldens;
import org.parallelcomp.core.policies.KvpressGoldens.Array;
import org.parallelcomp.core.policies.KvpressGoldens.Entry;
import org.parallelcomp.core.policies.PlainPass;

/**
 * The scorers with a random sketch against kvpress' formulas, with the sketch that was drawn there:
 * kvpress itself draws another in every run.
 */
class KvpressSketchesTest {
  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("test");
  private final TensorOps ops = backend.tensorOps(scope);

  @AfterEach
  void close() {
    backend.close();
  }

  private Tensor sketch(Map<String, Array> file, int width) {
    Array sketch = file.get("leverage.s" + width + ".sketch");
    float[] numbers = new float[sketch.numbers().length];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = (float) sketch.numbers()[i];
    }
    return ops.constant(Shape.of(Arrays.stream(sketch.shape()).asLongStream().toArray()), numbers);
  }

  private static LeverageScore leverage() {
    return (LeverageScore) LeverageScore.FACTORY.create(Map.of());
  }

  private void assertNormalised(double[] expected, Tensor scores, String about) {
    float[] ours = backend.host().copyToHostFloats(scores);
    double mean = 0;
    double squares = 0;
    for (float score : ours) {
      mean += score / ours.length;
    }
    for (float score : ours) {
      squares += (score - mean) * (score - mean);
    }
    double standard = Math.sqrt(squares / (ours.length - 1));
    for (int i = 0; i < ours.length; i++) {
      assertEquals(expected[i], (ours[i] - mean) / standard, 2e-3, about + " element " + i);
    }
  }

  @TestFactory
  Stream<DynamicTest> leverages() {
    return KvpressGoldens.entries().stream()
        .filter(e -> e.id().startsWith("leverage.") && e.ratio().equals("0.5"))
        .map(e -> DynamicTest.dynamicTest(e.file() + " " + e.id(), () -> assertLeverage(e)));
  }

  private void assertLeverage(Entry entry) {
    Map<String, Array> file = KvpressGoldens.file(entry.file());
    PlainPass pass = KvpressGoldens.pass(backend, scope, file, 0);
    Tensor scores = leverage().score(pass.unrotatedKeys(), sketch(file, entry.number("s")), ops);
    assertNormalised(file.get(entry.id() + ".formula_scores").numbers(), scores, entry.id());
  }

  @TestFactory
  Stream<DynamicTest> compactors() {
    return KvpressGoldens.entries().stream()
        .filter(e -> e.id().startsWith("compactor.") && e.id().contains("blend"))
        .filter(e -> e.ratio().equals("0.5"))
        .map(e -> DynamicTest.dynamicTest(e.file() + " " + e.id(), () -> assertCompactor(e)));
  }

  private void assertCompactor(Entry entry) {
    Map<String, Array> file = KvpressGoldens.file(entry.file());
    PlainPass pass = KvpressGoldens.pass(backend, scope, file, 0);
    int to = pass.contextTokens() - 4;
    var compactor = (Compactor) Compactor.FACTORY.create(Map.of("block", "" + entry.number("c")));
    Tensor leverages =
        leverage()
            .score(pass.unrotatedKeys().slice(1, 8, to), sketch(file, entry.number("s")), ops);
    float[] ours =
        backend
            .host()
            .copyToHostFloats(
                compactor.score(
                    pass.contextQueries().slice(1, 8, to),
                    pass.keys().slice(1, 8, to),
                    pass.values().slice(1, 8, to),
                    leverages,
                    ops));
    double[][] golden = file.get(entry.id() + ".formula_scores").rows();
    for (int i = 0; i < ours.length; i++) {
      int head = i / (to - 8);
      int token = 8 + i % (to - 8);
      assertEquals(
          golden[head][token], ours[i], 2e-3, entry.file() + " head " + head + " token " + token);
    }
    double most = Arrays.stream(golden[0], 8, to).max().orElseThrow();
    assertTrue(golden[0][0] >= most, "kvpress protects the first tokens too");
  }
}

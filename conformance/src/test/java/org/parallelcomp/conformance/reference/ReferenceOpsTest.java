package org.parallelcomp.conformance.reference;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/**
 * The oracle against cases computed by hand, and against what gguf's own decoder makes of bytes.
 */
class ReferenceOpsTest {
  private static final float INF = Float.POSITIVE_INFINITY;

  private final ReferenceBackend backend = new ReferenceBackend();
  private final MemoryScope scope = backend.openScope("test");
  private final TensorOps ops = backend.tensorOps(scope);

  @AfterEach
  void close() {
    backend.close();
  }

  private Tensor floats(float[] numbers, long... dims) {
    Tensor tensor = scope.allocate(DType.F32, Shape.of(dims));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  private Tensor ints(int... numbers) {
    Tensor tensor = scope.allocate(DType.I32, Shape.of(numbers.length));
    backend.host().copyFromHost(tensor, numbers);
    return tensor;
  }

  private void assertNumbers(Tensor actual, float... expected) {
    assertArrayEquals(expected, backend.host().copyToHostFloats(actual), 1e-6f);
  }

  private void assertInts(Tensor actual, int... expected) {
    assertArrayEquals(expected, backend.host().copyToHostInts(actual));
  }

  @Test
  void choleskySolvesByHand() {
    // L = (2 0; 1 3), so a = (4 2; 2 10); the upper triangle is not read.
    Tensor a = floats(new float[] {4, 99, 2, 10}, 2, 2);
    assertNumbers(ops.choleskySolve(a, floats(new float[] {8, 0, 22, 9}, 2, 2)), 1, -0.5f, 2, 1);
    Tensor singular = floats(new float[] {1, 1, 1, 1}, 2, 2);
    assertNumbers(
        ops.choleskySolve(singular, floats(new float[] {1, 1}, 2, 1)), Float.NaN, Float.NaN);
    assertNumbers(ops.constant(Shape.of(2, 1), new float[] {5, 6}), 5, 6);
  }

  @Test
  void arithmeticBroadcasts() {
    Tensor x = floats(new float[] {1, 2, 3, 4, 5, 6}, 2, 3);
    assertNumbers(ops.add(x, floats(new float[] {10, 20, 30}, 3)), 11, 22, 33, 14, 25, 36);
    assertNumbers(ops.multiply(floats(new float[] {2, 3}, 2, 1), x), 2, 4, 6, 12, 15, 18);
    assertNumbers(ops.divide(x.slice(1, 1, 3), ops.full(Shape.of(1), 2)), 1, 1.5f, 2.5f, 3);
  }

  @Test
  void reductionsRunAlongTheirAxis() {
    Tensor x = floats(new float[] {1, -2, 3, 4, 5, -6}, 2, 3);
    assertNumbers(ops.sum(x, 0), 5, 3, -3);
    assertNumbers(ops.mean(x, -1), 2f / 3, 1);
    assertNumbers(ops.max(x, 1), 3, 5);
    assertNumbers(ops.min(x, 0), 1, -2, -6);
    assertNumbers(ops.l2Norm(floats(new float[] {3, 4}, 1, 2), 1), 5);
    assertNumbers(ops.max(floats(new float[] {1, Float.NaN, 3}, 3), 0), Float.NaN);
  }

  @Test
  void softmaxAndProducts() {
    float half = (float) (1 / (1 + Math.exp(-1)));
    assertNumbers(ops.softmax(floats(new float[] {1000, 1001, -INF}, 3)), 1 - half, half, 0);
    Tensor a = floats(new float[] {1, 2, 3, 4}, 2, 2);
    Tensor b = floats(new float[] {5, 6, 7, 8}, 2, 2);
    assertNumbers(ops.matmul(a, b), 19, 22, 43, 50);
    assertNumbers(ops.transpose(a, 0, 1), 1, 3, 2, 4);
    assertNumbers(ops.concat(List.of(a, b), 1), 1, 2, 5, 6, 3, 4, 7, 8);
  }

  @Test
  void poolsTreatTheirEdgesAsTheContractSays() {
    Tensor x = floats(new float[] {-3, -6, -9}, 1, 3);
    assertNumbers(ops.averagePool1d(x, 3), -3, -6, -5);
    assertNumbers(ops.maxPool1d(x, 3), -3, -3, -6);
  }

  @Test
  void topKBreaksTiesByPositionAndRanksNanLowest() {
    Tensor x = floats(new float[] {2, Float.NaN, 5, 2, -INF, 2, 0, -0f}, 1, 8);
    assertInts(ops.topK(x, 3), 0, 2, 3);
    assertInts(ops.topK(x, 5), 0, 2, 3, 5, 6);
    assertInts(ops.topK(x, 7), 0, 2, 3, 4, 5, 6, 7);
    assertInts(ops.argMax(x), 2);
  }

  @Test
  void selectionsAndMasks() {
    TokenSelection selection =
        ops.selectWhere(floats(new float[] {0, 1, 1, 0, 0, 0, 7, 0, 1}, 3, 3));
    assertArrayEquals(new int[] {2, 0, 2}, selection.keptTokens());
    assertInts(selection.indices().orElseThrow(), 1, 2, 0, 2);
    assertNumbers(ops.mask(selection), 0, 1, 1, 0, 0, 0, 1, 0, 1);
  }

  @Test
  void decoderParts() {
    var decoder = backend.decoder();
    Tensor out = scope.allocate(DType.F32, Shape.of(1, 2));
    Tensor weight = floats(new float[] {1, 2, 3, 4}, 2, 2);
    Tensor in = floats(new float[] {10, 1}, 1, 2);
    decoder.linear(out, weight, floats(new float[] {100, 200}, 2), in);
    assertNumbers(out, 112, 234);
    decoder.rmsNorm(out, floats(new float[] {3, 4}, 1, 2), floats(new float[] {1, 10}, 2), 0);
    assertNumbers(out, (float) (3 / Math.sqrt(12.5)), (float) (40 / Math.sqrt(12.5)));
    decoder.swiGlu(out, floats(new float[] {0, 1000}, 1, 2), floats(new float[] {5, 2}, 1, 2));
    assertNumbers(out, 0, 2000);
    Tensor likelihood = scope.allocate(DType.F32, Shape.of(1));
    Tensor logits = floats(new float[] {1000, 1000, 1000, 1000}, 1, 4);
    decoder.tokenLogLikelihood(likelihood, logits, ints(2));
    assertNumbers(likelihood, (float) -Math.log(4));
  }

  @Test
  void ropeTurnsTheRightPairs() {
    // Position 1 turns the first pair by a right angle and the second not at all.
    Tensor cosines = floats(new float[] {1, 1, 0, 1}, 2, 2);
    Tensor sines = floats(new float[] {0, 0, 1, 0}, 2, 2);
    Tensor x = floats(new float[] {1, 2, 3, 4, 9}, 1, 1, 5);
    backend.decoder().rope(x, ints(1), new Rope(Rope.Style.INTERLEAVED, cosines, sines));
    assertNumbers(x, -2, 1, 3, 4, 9);
    Tensor y = floats(new float[] {1, 2, 3, 4, 9}, 1, 1, 5);
    backend.decoder().rope(y, ints(1), new Rope(Rope.Style.HALF_SPLIT, cosines, sines));
    assertNumbers(y, -3, 2, 1, 4, 9);
  }

  /** One kv head with the keys 0, ln 2, ln 4 and the values 1, 10, 100. */
  private KvLayer layer() {
    KvLayer layer = backend.cache().allocate(scope, DType.F32, new int[] {4}, 1);
    float[] keys = {0, (float) Math.log(2), (float) Math.log(4)};
    backend
        .cache()
        .append(
            layer, floats(keys, 3, 1, 1), floats(new float[] {1, 10, 100}, 3, 1, 1), ints(0, 1, 2));
    return layer;
  }

  @Test
  void attentionItsLogSumExpAndItsMass() {
    KvLayer layer = layer();
    Tensor queries = floats(new float[] {1, 0, 1, 0}, 2, 2, 1);
    Tensor out = scope.allocate(DType.F32, Shape.of(2, 2, 1));
    Tensor lse = scope.allocate(DType.F32, Shape.of(2, 2));
    var sequence = AttendSequence.causal(0, 2, layer);
    backend.attention().attend(out, lse, queries, 1, List.of(sequence));
    // Row 0 sees two keys, row 1 three; head 0 weighs them 1 : 2 : 4, head 1 evenly.
    assertNumbers(out, 21 / 3f, 11 / 2f, 421 / 7f, 111 / 3f);
    float ln2 = (float) Math.log(2);
    assertNumbers(lse, (float) Math.log(3), (float) Math.log(7), ln2, (float) Math.log(3));

    Tensor mass = scope.allocate(DType.F32, Shape.of(1, 2));
    for (HeadReduction reduction : List.of(HeadReduction.MAX, HeadReduction.MEAN)) {
      backend.attention().attentionMass(mass, queries, lse, 1, sequence, 2, 1, 3, reduction);
      // Sums over both rows of head 0: 2/3 + 2/7 and 4/7; of head 1: 1/2 + 1/3 and 1/3.
      float[] first = {2 / 3f + 2 / 7f, 4 / 7f};
      float[] second = {5 / 6f, 1 / 3f};
      assertNumbers(
          mass,
          reduction == HeadReduction.MAX
              ? first
              : new float[] {(first[0] + second[0]) / 2, (first[1] + second[1]) / 2});
    }
  }

  @Test
  void mergingPartsGivesTheWhole() {
    KvLayer layer = layer();
    Tensor queries = floats(new float[] {1}, 1, 1, 1);
    List<Tensor> outs = List.of(empty(1, 1, 1), empty(1, 1, 1), empty(1, 1, 1));
    List<Tensor> lses = List.of(empty(1, 1), empty(1, 1), empty(1, 1));
    int[] cuts = {0, 1, 1, 3};
    for (int p = 0; p < 3; p++) {
      var part = AttendSequence.over(0, 1, layer, cuts[p], cuts[p + 1]);
      backend.attention().attend(outs.get(p), lses.get(p), queries, 1, List.of(part));
    }
    assertNumbers(outs.get(1), 0);
    assertNumbers(lses.get(1), -INF);
    Tensor out = empty(1, 1, 1);
    Tensor lse = empty(1, 1);
    backend.attention().mergePartial(out, lse, outs, lses);
    assertNumbers(out, 421 / 7f);
    assertNumbers(lse, (float) Math.log(7));
  }

  private Tensor empty(long... dims) {
    return scope.allocate(DType.F32, Shape.of(dims));
  }

  @Test
  void compactingAndRerotating() {
    KvLayer kept =
        backend.cache().compact(scope, layer(), 1, TokenSelection.of(2, new int[] {1}, ints(1)));
    assertNumbers(kept.values(), 100);
    assertInts(kept.positions(), 2);

    KvLayer turned = backend.cache().allocate(scope, DType.F32, new int[] {1}, 2);
    Tensor key = floats(new float[] {0, 1}, 1, 1, 2);
    backend.cache().append(turned, key, key, ints(1));
    // Position p turns by p right angles: from 1 to 3 it is half a turn.
    Tensor cosines = floats(new float[] {1, 0, -1, 0}, 4, 1);
    Tensor sines = floats(new float[] {0, 1, 0, -1}, 4, 1);
    backend.cache().rerotate(turned, 3, new Rope(Rope.Style.HALF_SPLIT, cosines, sines));
    assertNumbers(turned.keys(), 0, -1);
    assertNumbers(turned.values(), 0, 1);
    assertInts(turned.positions(), 3);
  }

  @Test
  void halfTypesRoundToTheNearestEven() {
    assertNumbers(stored(DType.F16, 1 + 0x1p-11f, 1 + 3 * 0x1p-11f), 1, 1 + 0x1p-9f);
    assertNumbers(stored(DType.BF16, 1 + 0x1p-8f, 1 + 3 * 0x1p-8f), 1, 1 + 0x1p-6f);
  }

  private Tensor stored(DType dtype, float... numbers) {
    KvLayer layer = backend.cache().allocate(scope, dtype, new int[] {1}, numbers.length);
    Tensor row = floats(numbers, 1, 1, numbers.length);
    backend.cache().append(layer, row, row, ints(0));
    return layer.keys();
  }

  @Test
  void useAfterCloseIsAnError() {
    Tensor tensor = floats(new float[] {1}, 1);
    scope.close();
    assertThrows(InferenceException.class, () -> backend.host().copyToHostFloats(tensor));
  }

  @ParameterizedTest
  @EnumSource(
      names = {"F32", "I32"},
      mode = EnumSource.Mode.EXCLUDE)
  void bytesMeanWhatGgufSays(DType dtype, @TempDir Path folder) throws IOException {
    byte[] golden;
    try (InputStream in = ReferenceOpsTest.class.getResourceAsStream(dtype + ".bin")) {
      golden = in.readAllBytes();
    }
    int elements = dtype.isBlock() ? 2 * dtype.blockElements() : 8;
    int sizeBytes = (int) dtype.bytes(elements);
    assertEquals(sizeBytes + 4 * elements, golden.length);
    ByteBuffer expected = ByteBuffer.wrap(golden).order(ByteOrder.LITTLE_ENDIAN);
    Path file = Files.write(folder.resolve("golden"), golden);
    var region = new FileRegion(file, 0, sizeBytes);
    Tensor loaded = backend.load(scope, region, dtype, Shape.of(elements));
    float[] actual = backend.host().copyToHostFloats(loaded);
    for (int i = 0; i < elements; i++) {
      float want = expected.getFloat(sizeBytes + 4 * i);
      // Where scale and minimum cancel, gguf's single precision shows.
      assertEquals(want, actual[i], 2e-6 * Math.max(1, Math.abs(want)), dtype + " " + i);
    }
  }
}

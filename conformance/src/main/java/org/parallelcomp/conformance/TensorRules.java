package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

abstract class TensorRules extends Rules {
  private static final float INF = Float.POSITIVE_INFINITY;
  private static final float[] SPECIAL = {Float.NaN, INF, -INF, 0, -0f, 1, -2, Float.MAX_VALUE};

  @Test
  void required_B201_arithmeticIsElementByElementAlsoOnViews() {
    for (int size : SIZES) {
      twins()
          .compare(
              "arithmetic " + size,
              Bound.SINGLE,
              b -> {
                Tensor x = b.view(5, size);
                Tensor y = b.normal(5, size);
                TensorOps ops = b.ops();
                Tensor positive = ops.add(ops.multiply(x, x), ops.full(Shape.of(1), 0.5f));
                return List.of(
                    ops.add(x, y),
                    ops.subtract(y, x),
                    ops.multiply(x, y),
                    ops.divide(y, positive),
                    ops.affine(x, -2.5f, 0.75f),
                    ops.exp(x),
                    ops.log(positive),
                    ops.sqrt(positive));
              });
    }
  }

  @Test
  void required_B202_binaryOperationsBroadcastFromTheInnermostAxis() {
    twins()
        .compare(
            "broadcast",
            Bound.SINGLE,
            b -> {
              Tensor x = b.normal(3, 7, 13);
              TensorOps ops = b.ops();
              return List.of(
                  ops.add(x, b.normal(13)),
                  ops.multiply(b.normal(7, 1), x),
                  ops.subtract(b.normal(3, 1, 1), b.normal(1, 7, 1)),
                  ops.divide(x, ops.full(Shape.of(1), 3)),
                  ops.add(b.normal(1), b.normal(1)));
            });
  }

  @Test
  void required_B203_arithmeticPassesNanAndInfinitiesOn() {
    twins()
        .compare(
            "special",
            Bound.SINGLE,
            b -> {
              Tensor x = b.floats(SPECIAL, SPECIAL.length);
              TensorOps ops = b.ops();
              Tensor one = ops.full(Shape.of(1), 1);
              return List.of(
                  ops.add(x, one),
                  ops.multiply(x, one),
                  ops.subtract(x, x),
                  ops.affine(x, 0.5f, 1),
                  ops.exp(ops.affine(x, 1e-3f, 0).slice(0, 0, 7)),
                  ops.log(x),
                  ops.sqrt(x));
            });
  }

  @Test
  void required_B204_reductionsTakeOutAnyAxis() {
    for (int size : SIZES) {
      twins()
          .compare(
              "reduce " + size,
              Bound.SINGLE,
              b -> {
                var results = new ArrayList<Tensor>();
                for (Tensor x : List.of(b.normal(3, 5, size), b.normal(3, size, 5))) {
                  for (int axis = -3; axis < 3; axis++) {
                    results.add(b.ops().sum(x, axis));
                    results.add(b.ops().mean(x, axis));
                    results.add(b.ops().max(x, axis));
                    results.add(b.ops().min(x, axis));
                    results.add(b.ops().l2Norm(x, axis));
                  }
                }
                results.add(b.ops().sum(b.view(6, size), 0));
                results.add(b.ops().max(b.view(6, size), 1));
                return results;
              });
    }
  }

  @Test
  void required_B205_sumsAreAccumulatedInDoublePrecision() {
    float[] numbers = new float[4097];
    Arrays.fill(numbers, 1);
    numbers[0] = 1e8f;
    twins()
        .compare(
            "double sum",
            Bound.DECODED,
            b -> {
              Tensor line = b.floats(numbers, 1, 4097);
              Tensor column = b.floats(numbers, 4097, 1);
              return List.of(b.ops().sum(line, 1), b.ops().sum(column, 0), b.ops().mean(line, 1));
            });
  }

  @Test
  void required_B206_maximumAndMinimumOfALineWithNanAreNan() {
    twins()
        .compare(
            "nan in reductions",
            Bound.EXACT,
            b -> {
              Tensor x = b.coarse(true, 9, 40);
              return List.of(
                  b.ops().max(x, 1), b.ops().min(x, 1), b.ops().max(x, 0), b.ops().min(x, 0));
            });
  }

  @Test
  void required_B207_softmaxIsStableAndGivesMaskedPlacesNothing() {
    for (int size : SIZES) {
      twins()
          .compare(
              "softmax " + size,
              Bound.SINGLE,
              b -> {
                Tensor x = b.normal(4, size);
                Tensor masked =
                    b.ops()
                        .where(
                            b.ops().greaterThan(b.ops().range(size), 0.5f),
                            b.ops().full(Shape.of(1), -INF),
                            x);
                return List.of(
                    b.ops().softmax(x),
                    b.ops().softmax(b.view(3, size)),
                    b.ops().softmax(b.ops().affine(x, 1, 1e4f)),
                    b.ops().softmax(masked));
              });
    }
  }

  @Test
  void required_B208_matrixProductsBroadcastLeadingAxes() {
    for (int size : SIZES) {
      twins()
          .compare(
              "matmul " + size,
              Bound.SINGLE,
              b ->
                  List.of(
                      b.ops().matmul(b.normal(7, size), b.normal(size, 13)),
                      b.ops().matmul(b.normal(3, 1, 5, 9), b.normal(2, 9, size)),
                      b.ops().matmul(b.view(5, size), b.view(size, 3))));
    }
  }

  @Test
  void required_B217_positiveDefiniteSystemsAreSolvedAndOthersGiveNan() {
    for (int size : new int[] {1, 7, 13, 64}) {
      twins()
          .compare(
              "cholesky " + size,
              Bound.SINGLE,
              b -> {
                TensorOps ops = b.ops();
                Tensor definite = b.positiveDefinite(3, size).reshape(Shape.of(3, 1, size, size));
                // Only the lower triangle counts.
                Tensor position = ops.range(size);
                Tensor upper =
                    ops.greaterThan(ops.subtract(position, position.reshape(Shape.of(size, 1))), 0);
                Tensor spoilt = ops.where(upper, ops.full(Shape.of(1), Float.NaN), definite);
                Tensor indefinite = ops.concat(List.of(definite, ops.affine(definite, -1, 0)), 0);
                return List.of(
                    ops.choleskySolve(definite, b.normal(3, 2, size, 5)),
                    ops.choleskySolve(spoilt, b.view(size, 3)),
                    ops.choleskySolve(indefinite, b.normal(size, 1)),
                    ops.choleskySolve(
                        ops.multiply(definite, ops.full(Shape.of(1), Float.NaN)),
                        b.normal(size, 2)));
              });
    }
  }

  @Test
  void required_B209_transposeConcatAndGatherMoveNumbersExactly() {
    twins()
        .compare(
            "move",
            Bound.EXACT,
            b -> {
              Tensor x = b.normal(3, 7, 13);
              Tensor view = b.view(4, 21);
              int[] at = new int[12];
              for (int i = 0; i < at.length; i++) {
                at[i] = b.integer(21);
              }
              Tensor indices = b.ints(at, 4, 3);
              return List.of(
                  b.ops().transpose(x, 0, -1),
                  b.ops().transpose(x, 1, 2),
                  b.ops().transpose(view, 0, 1),
                  b.ops().concat(List.of(x, b.normal(3, 2, 13), b.normal(3, 0, 13)), 1),
                  b.ops().concat(List.of(view, b.view(4, 5)), -1),
                  b.ops().gather(view, indices),
                  b.ops().gather(indices, b.ints(new int[] {2, 0, 1, 1, 0, 2, 2, 2}, 4, 2)));
            });
  }

  @Test
  void required_B210_poolsAreCentredAndKeepTheLength() {
    for (int size : SIZES) {
      for (int kernel : new int[] {1, 5, 21}) {
        twins()
            .compare(
                "pool " + size + " by " + kernel,
                Bound.SINGLE,
                b -> {
                  // Below zero, so that a maximum over padding would show.
                  Tensor x = b.ops().affine(b.view(3, size), 1, -100);
                  return List.of(
                      b.ops().averagePool1d(x, kernel),
                      b.ops().maxPool1d(x, kernel),
                      b.ops().maxPool1d(b.view(2, size), kernel));
                });
      }
    }
  }

  @Test
  void required_B211_topKIsSortedByPositionWithTiesToTheEarlierAndNanLowest() {
    for (int size : SIZES) {
      for (int count : new int[] {0, 1, size / 3, size - 1, size}) {
        twins()
            .compare(
                "top " + count + " of " + size,
                Bound.EXACT,
                b ->
                    List.of(
                        b.ops().topK(b.coarse(true, 5, size), count),
                        b.ops().topK(b.normal(2, 3, size), count),
                        b.ops().topK(b.view(3, size), count),
                        b.ops().topK(b.ops().full(Shape.of(2, size), 0.5f), count)));
      }
    }
    for (int count = 0; count <= SPECIAL.length; count++) {
      int kept = count;
      twins()
          .compare(
              "top " + count + " of special numbers",
              Bound.EXACT,
              b -> List.of(b.ops().topK(b.floats(SPECIAL, 1, SPECIAL.length), kept)));
    }
  }

  @Test
  void required_B212_argMaxTakesTheEarlierOfEqualAndNeverNan() {
    for (int size : SIZES) {
      twins()
          .compare(
              "argmax " + size,
              Bound.EXACT,
              b ->
                  List.of(
                      b.ops().argMax(b.coarse(true, 5, size)),
                      b.ops().argMax(b.view(3, size)),
                      b.ops().argMax(b.ops().full(Shape.of(4, size), -INF))));
    }
  }

  @Test
  void required_B213_comparisonsAreFalseForNanAndChoicesKeepWhatTheyChoose() {
    twins()
        .compare(
            "choose",
            Bound.EXACT,
            b -> {
              Tensor x = b.coarse(true, 6, 20);
              Tensor above = b.ops().greaterThan(x, 0);
              return List.of(
                  above,
                  b.ops().greaterThan(b.floats(SPECIAL, SPECIAL.length), Float.MAX_VALUE),
                  b.ops().where(above, x, b.ops().full(Shape.of(1), -INF)),
                  b.ops().where(b.ops().greaterThan(b.view(1, 20), 0), x, b.view(6, 1)),
                  b.ops().where(above, b.ops().full(Shape.of(1), 2), b.normal(20)));
            });
  }

  @Test
  void required_B214_constantsAndRangesAreWhatTheySay() {
    twins()
        .compare(
            "constants",
            Bound.EXACT,
            b ->
                List.of(
                    b.ops().full(Shape.of(3, 7), -1.5f),
                    b.ops().constant(Shape.of(2, 4), SPECIAL),
                    b.ops().constant(Shape.of(), new float[] {3}),
                    b.ops().constant(Shape.of(0, 4), new float[0]),
                    b.ops().range(207),
                    b.ops().range(1),
                    b.ops().range(0)));
  }

  @Test
  void required_B215_selectionsAndMasksAreInverse() {
    for (int size : SIZES) {
      twins()
          .compare(
              "selection " + size,
              Bound.EXACT,
              b -> {
                TokenSelection ragged = b.raggedSelection(4, size);
                Tensor every = b.ops().full(Shape.of(4, size), 1);
                var results = new ArrayList<Tensor>(b.contents(ragged));
                results.add(b.ops().mask(ragged));
                results.add(b.ops().mask(TokenSelection.everything(4, size)));
                results.addAll(b.contents(b.ops().selectWhere(every)));
                results.addAll(b.contents(b.ops().selectWhere(b.ops().full(Shape.of(4, size), 0))));
                results.addAll(b.contents(b.ops().selectWhere(b.coarse(false, 4, size))));
                return results;
              });
    }
  }

  @Test
  void required_B216_argumentsStayAsTheyWere() {
    twins()
        .compare(
            "arguments",
            Bound.EXACT,
            b -> {
              Tensor x = b.normal(4, 30);
              TensorOps ops = b.ops();
              ops.softmax(x);
              ops.topK(x, 9);
              ops.affine(x, 3, 1);
              ops.maxPool1d(x, 5);
              ops.exp(x);
              ops.add(x, x);
              return List.of(x);
            });
  }

  @Test
  void required_B224_softmaxOfALineWithNanOrWithoutAnyNumberIsNan() {
    twins()
        .compare(
            "softmax of nothing",
            Bound.SINGLE,
            b -> {
              Tensor x = b.normal(5, 13);
              float[] nothing = new float[13];
              Arrays.fill(nothing, -INF);
              b.backend().host().copyFromHost(x.slice(0, 1, 2), nothing);
              nothing[7] = Float.NaN;
              b.backend().host().copyFromHost(x.slice(0, 3, 4), nothing);
              return List.of(b.ops().softmax(x));
            });
  }

  @Test
  void required_B218_integersAreMovedBitByBit() {
    // As floats the first three would be quiet and signalling NaN and a subnormal.
    int[] numbers = {0x7FC0_0001, 0x7F80_0001, 1, -1, Integer.MIN_VALUE, 1 << 24 | 1};
    twins()
        .compare(
            "integers",
            Bound.EXACT,
            b -> {
              Tensor x = b.ints(numbers, 2, 3);
              Tensor y = b.ints(new int[] {7, 8, 0x7F80_0002, 9}, 2, 2);
              TensorOps ops = b.ops();
              return List.of(
                  ops.transpose(x, 0, 1),
                  ops.transpose(x.slice(1, 1, 3), 0, -1),
                  ops.concat(List.of(x, y), 1),
                  ops.concat(List.of(x, x.slice(0, 1, 2)), 0),
                  ops.gather(x, b.ints(new int[] {2, 0, 1, 1}, 2, 2)),
                  ops.gather(x.slice(1, 1, 3), b.ints(new int[] {1, 0}, 2, 1)));
            });
  }

  @Test
  void required_B219_theMaximumOverAWindowWithNanIsNan() {
    for (int kernel : new int[] {1, 3, 7}) {
      twins()
          .compare(
              "pool of NaN by " + kernel,
              Bound.EXACT,
              b -> {
                float[] numbers = Bench.series(40, i -> i % 11 == 5 ? Float.NaN : -i);
                numbers[30] = INF;
                numbers[38] = -INF;
                return List.of(b.ops().maxPool1d(b.floats(numbers, 2, 20), kernel));
              });
    }
  }

  @Test
  void required_B220_argumentsThatContradictOneAnotherAreRefused() {
    twins()
        .run(
            "contradictions",
            b -> {
              Tensor x = b.normal(4, 6);
              Tensor y = b.normal(4, 5);
              Tensor ints = b.ints(new int[24], 4, 6);
              TensorOps ops = b.ops();
              var calls = new LinkedHashMap<String, Executable>();
              calls.put("broadcast", () -> ops.add(x, y));
              calls.put("choose", () -> ops.where(x, y, y));
              calls.put("matmul", () -> ops.matmul(x, y));
              calls.put("concat", () -> ops.concat(List.of(x, y), 0));
              calls.put("concat of two types", () -> ops.concat(List.of(x, ints), 0));
              calls.put("concat of nothing", () -> ops.concat(List.of(), 0));
              calls.put("axis", () -> ops.sum(x, 2));
              calls.put("axis from behind", () -> ops.max(x, -3));
              calls.put("top-k of too many", () -> ops.topK(x, 7));
              calls.put("top-k of fewer than none", () -> ops.topK(x, -1));
              calls.put("greatest of nothing", () -> ops.argMax(x.slice(1, 2, 2)));
              calls.put("matrix that is not square", () -> ops.choleskySolve(x, x));
              calls.put("right-hand side", () -> ops.choleskySolve(b.normal(3, 3), x));
              calls.put("constant", () -> ops.constant(Shape.of(2, 2), new float[3]));
              calls.put("even kernel", () -> ops.averagePool1d(x, 4));
              calls.put("no kernel", () -> ops.maxPool1d(x, 0));
              calls.put("gather", () -> ops.gather(x, b.ints(new int[3], 3, 1)));
              calls.forEach(Twins::assertMismatchRefused);
            });
  }

  @Test
  void required_B221_operationsOverNoElementsGiveEmptyResults() {
    twins()
        .compare(
            "empty",
            Bound.EXACT,
            b -> {
              Tensor noRows = b.normal(0, 5);
              Tensor noColumns = b.normal(5, 0);
              TensorOps ops = b.ops();
              return List.of(
                  ops.add(noRows, b.normal(5)),
                  ops.affine(noColumns, 2, 1),
                  ops.sum(noColumns, 1),
                  ops.sum(noRows, 1),
                  ops.max(noRows, 1),
                  ops.softmax(noRows),
                  ops.matmul(noColumns, noRows),
                  ops.matmul(noRows, noColumns),
                  ops.transpose(noRows, 0, 1),
                  ops.concat(List.of(noRows, noRows), 0),
                  ops.topK(noRows, 3),
                  ops.topK(noColumns, 0),
                  ops.argMax(noRows),
                  ops.gather(noColumns, b.ints(new int[0], 5, 0)),
                  ops.maxPool1d(noRows, 3),
                  ops.full(Shape.of(3, 0), 1),
                  ops.selectWhere(b.normal(2, 0)).indices().orElseThrow());
            });
  }

  @Test
  void required_B222_resultsAreGaplessAndOfTheScopeAndNoneIsAnArgument() {
    twins()
        .compare(
            "results",
            Bound.EXACT,
            b -> {
              MemoryScope outer = b.scope().child("results");
              TensorOps ops = b.backend().tensorOps(outer);
              long before = outer.allocatedBytes();
              MemoryScope inner = b.scope().child("arguments");
              Tensor x = inner.allocate(DType.F32, Shape.of(4, 6));
              b.backend().host().copyFromHost(x, Bench.series(24, i -> i - 7));
              List<Tensor> results =
                  List.of(
                      ops.affine(x, 1, 0),
                      ops.concat(List.of(x), 0),
                      ops.transpose(x, 0, 0),
                      ops.maxPool1d(x, 1),
                      ops.where(x, x, x),
                      ops.gather(x.slice(0, 0, 1), b.ints(new int[] {3, 5}, 1, 2)),
                      ops.transpose(x.slice(1, 1, 4), 0, 1));
              b.backend().host().copyFromHost(x, new float[24]);
              inner.close();
              for (Tensor result : results) {
                assertTrue(result.layout().isContiguous(), result.layout().toString());
              }
              long bytes = 4 * results.stream().mapToLong(r -> r.shape().elements()).sum();
              assertTrue(outer.allocatedBytes() >= before + bytes, "results elsewhere");
              return results;
            });
  }

  @Test
  void required_B223_theSameCallGivesTheSameBits() {
    twins()
        .run(
            "repeated tensor operations",
            b -> {
              Tensor x = b.normal(13, 1025);
              Tensor y = b.normal(1025, 7);
              List<float[]> first = someOf(b, x, y);
              someOf(b, b.normal(3, 64), b.normal(64, 31));
              List<float[]> second = someOf(b, x, y);
              for (int i = 0; i < first.size(); i++) {
                assertArrayEquals(first.get(i), second.get(i), "result " + i);
              }
            });
  }

  @Test
  void required_B225_halvesOfACacheBecomeFloatsExactly() {
    for (DType dtype : List.of(DType.F32, DType.F16, DType.BF16)) {
      twins()
          .compareOrRefuse(
              new OpCall(Operation.CACHE, List.of(dtype), List.of(Shape.of(3, 32))),
              "floats " + dtype,
              Bound.EXACT,
              b -> {
                KvLayer layer = b.layer(dtype, 3, 13, 20, 32);
                Tensor heads = layer.keys().reshape(Shape.of(3, 20, 32));
                return List.of(
                    b.ops().floats(layer.keys()),
                    b.ops().floats(heads.slice(1, 2, 13)),
                    b.ops().floats(heads.slice(1, 4, 4)));
              });
    }
  }

  private static List<float[]> someOf(Bench b, Tensor x, Tensor y) {
    TensorOps ops = b.ops();
    return Stream.of(
            ops.softmax(x),
            ops.sum(x, 1),
            ops.mean(x, 0),
            ops.l2Norm(x, -1),
            ops.matmul(x, y),
            ops.averagePool1d(x, 7),
            ops.exp(x))
        .map(b::bits)
        .toList();
  }
}

package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

abstract class DecoderRules extends Rules {
  private static final float INF = Float.POSITIVE_INFINITY;

  private static final List<DType> WEIGHTS =
      Arrays.stream(DType.values()).filter(dtype -> dtype != DType.I32).toList();

  private static int[] randomInts(Bench b, int count, int bound) {
    return IntStream.range(0, count).map(i -> b.integer(bound)).toArray();
  }

  @Test
  void required_B301_embeddingsAreTheRowsOfTheTable() {
    for (DType dtype : WEIGHTS) {
      for (int tokens : new int[] {1, 13, 207}) {
        twins()
            .compareOrRefuse(
                new OpCall(Operation.EMBED, List.of(dtype), List.of(Shape.of(64, 512))),
                "embed " + tokens + " of " + dtype,
                Bound.DECODED,
                b -> {
                  Tensor table = b.weight(dtype, 64, 512);
                  Tensor out = b.output(tokens, 512);
                  b.decoder().embed(out, table, b.ints(randomInts(b, tokens, 64), tokens));
                  return List.of(out);
                });
      }
    }
  }

  private void linear(DType dtype, int tokens, int outputDim, int inputDim) {
    twins()
        .compareOrRefuse(
            new OpCall(Operation.LINEAR, List.of(dtype), List.of(Shape.of(outputDim, inputDim))),
            "linear " + dtype + " " + tokens + " x " + inputDim + " -> " + outputDim,
            Bound.ofWeights(dtype),
            b -> {
              Tensor weight = b.weight(dtype, outputDim, inputDim);
              Tensor out = b.output(tokens, outputDim);
              b.decoder().linear(out, weight, null, b.normal(tokens, inputDim));
              Tensor gapped = b.gappedOutput(tokens, outputDim);
              Tensor bias = b.normal(outputDim);
              b.decoder().linear(gapped, weight, bias, b.view(tokens, inputDim));
              return List.of(out, gapped);
            });
  }

  @Test
  void required_B302_linearLayersWorkForEveryWeightTypeAtEverySize() {
    for (DType dtype : WEIGHTS) {
      linear(dtype, 1, 1, 256);
      linear(dtype, 1, 1025, 1024);
      linear(dtype, 2, 64, 768);
      linear(dtype, 7, 13, 512);
      linear(dtype, 13, 207, 256);
      linear(dtype, 64, 64, 512);
      linear(dtype, 207, 7, 256);
      linear(dtype, 1025, 13, 256);
      linear(dtype, 1, 4098, 256);
      linear(dtype, 13, 4098, 256);
    }
    for (DType dtype : List.of(DType.F32, DType.BF16, DType.Q8_0)) {
      linear(dtype, 4098, 7, 256);
    }
  }

  @Test
  void required_B303_linearLayersOfPlainTypesWorkForAnyInputSize() {
    for (DType dtype : List.of(DType.F32, DType.F16, DType.BF16)) {
      for (int inputDim : SIZES) {
        linear(dtype, 1, 13, inputDim);
        linear(dtype, 13, 7, inputDim);
      }
    }
  }

  @Test
  void required_B304_rowsAreIndependentOfOneAnother() {
    twins()
        .compare(
            "nan row",
            Bound.SINGLE,
            b -> {
              Tensor in = b.normal(13, 64);
              float[] bad = new float[64];
              Arrays.fill(bad, Float.NaN);
              b.backend().host().copyFromHost(in.slice(0, 5, 6), bad);
              Tensor out = b.output(13, 32);
              b.decoder().linear(out, b.weight(DType.F32, 32, 64), null, in);
              Tensor normed = b.output(13, 64);
              b.decoder().rmsNorm(normed, in, b.normal(64), 1e-5f);
              return List.of(out, normed);
            });
  }

  @Test
  void required_B305_callsFromSeveralThreadsDoNotDisturbOneAnother() {
    for (DType dtype : List.of(DType.F32, DType.Q8_0)) {
      twins()
          .compareOrRefuse(
              new OpCall(Operation.LINEAR, List.of(dtype), List.of(Shape.of(207, 256))),
              "linear in threads " + dtype,
              Bound.ofWeights(dtype),
              b -> {
                Tensor weight = b.weight(dtype, 207, 256);
                List<Tensor> ins = new ArrayList<>();
                List<Tensor> outs = new ArrayList<>();
                for (int tokens : new int[] {1, 64, 13, 1, 207, 7, 64, 1}) {
                  ins.add(b.normal(tokens, 256));
                  outs.add(b.output(tokens, 207));
                }
                // Computed before any thread starts, so that a refusal is thrown here.
                b.decoder().linear(outs.getFirst(), weight, null, ins.getFirst());
                Bench.inThreads(
                    outs.size(), i -> b.decoder().linear(outs.get(i), weight, null, ins.get(i)));
                return outs;
              });
    }
  }

  @Test
  void required_B306_rmsNormWorksOnRowsOfAnyRankAndInPlace() {
    for (int size : SIZES) {
      twins()
          .compare(
              "norm " + size,
              Bound.SINGLE,
              b -> {
                Tensor weight = b.normal(size);
                Tensor out = b.gappedOutput(7, size);
                b.decoder().rmsNorm(out, b.view(7, size), weight, 1e-5f);
                Tensor heads = b.normal(3, 4, size);
                b.decoder().rmsNorm(heads, heads, weight, 1e-6f);
                Tensor tiny = b.output(2, size);
                b.decoder()
                    .rmsNorm(tiny, b.ops().affine(b.normal(2, size), 1e-6f, 0), weight, 1e-5f);
                return List.of(out, heads, tiny);
              });
    }
  }

  @Test
  void required_B307_ropeTurnsPairsOfEitherStyleAndLeavesTheRest() {
    for (Rope.Style style : Rope.Style.values()) {
      for (int[] dims : new int[][] {{2, 2}, {14, 14}, {32, 32}, {64, 32}, {80, 80}, {128, 128}}) {
        twins()
            .compareOrRefuse(
                new OpCall(Operation.ROPE, List.of(), List.of(Shape.of(3, dims[0]))),
                "rope " + style + " " + dims[1] + " of " + dims[0],
                Bound.SINGLE,
                b -> {
                  Rope rope = b.rope(style, 300, dims[1]);
                  Tensor heads = b.normal(13, 3, dims[0]);
                  b.decoder().rope(heads, b.ints(randomInts(b, 13, 300), 13), rope);
                  Tensor one = b.normal(1, 3, dims[0]);
                  b.decoder().rope(one, b.ints(new int[] {299}, 1), rope);
                  return List.of(heads, one);
                });
      }
    }
  }

  @Test
  void required_B308_swiGluSaturatesAndWorksInPlace() {
    for (int size : SIZES) {
      twins()
          .compare(
              "swiglu " + size,
              Bound.SINGLE,
              b -> {
                Tensor out = b.gappedOutput(5, size);
                b.decoder().swiGlu(out, b.view(5, size), b.view(5, size));
                Tensor large = b.ops().affine(b.normal(5, size), 40, 0);
                b.decoder().swiGlu(large, large, b.normal(5, size));
                return List.of(out, large);
              });
    }
  }

  @Test
  void required_B309_addIsInPlace() {
    for (int size : SIZES) {
      twins()
          .compare(
              "add " + size,
              Bound.SINGLE,
              b -> {
                Tensor sum = b.view(7, size);
                b.decoder().add(sum, b.view(7, size));
                return List.of(sum);
              });
    }
  }

  @Test
  void required_B310_tokenLogLikelihoodIsStable() {
    for (int vocab : new int[] {7, 207, 1025, 4096}) {
      twins()
          .compare(
              "likelihood " + vocab,
              Bound.SINGLE,
              b -> {
                Tensor targets = b.ints(randomInts(b, 5, vocab), 5);
                Tensor logits = b.view(5, vocab);
                Tensor out = b.output(5);
                b.decoder().tokenLogLikelihood(out, logits, targets);
                Tensor ofLarge = b.output(5);
                Tensor large = b.ops().affine(b.normal(5, vocab), 30, 900);
                b.decoder().tokenLogLikelihood(ofLarge, large, targets);
                return List.of(out, ofLarge);
              });
    }
  }

  @Test
  void required_B311_fusedBlocksAreTheirCompositions() {
    for (DType dtype : List.of(DType.F32, DType.F16, DType.Q8_0)) {
      for (int tokens : new int[] {1, 13, 64}) {
        for (boolean optional : new boolean[] {false, true}) {
          twins()
              .compareOrRefuse(
                  new OpCall(Operation.LINEAR, List.of(dtype), List.of(Shape.of(256, 256))),
                  "blocks " + dtype + " " + tokens + (optional ? " with bias and norms" : ""),
                  Bound.ofWeights(dtype),
                  b -> blocks(b, dtype, tokens, optional));
        }
      }
    }
  }

  private static List<Tensor> blocks(Bench b, DType dtype, int tokens, boolean optional) {
    int hidden = 256;
    int queryHeads = 8;
    int kvHeads = 2;
    int headDim = 32;
    AttentionBlock attention =
        attentionBlock(b, dtype, hidden, queryHeads, kvHeads, headDim, optional);
    FeedForwardBlock feedForward = feedForwardBlock(b, dtype, hidden);
    Tensor input = b.normal(tokens, hidden);
    Tensor queries = b.output(tokens, queryHeads, headDim);
    Tensor keys = b.output(tokens, kvHeads, headDim);
    Tensor values = b.output(tokens, kvHeads, headDim);
    Tensor positions = b.ints(IntStream.range(40, 40 + tokens).toArray(), tokens);
    Rope rope = b.rope(Rope.Style.HALF_SPLIT, 128, headDim);
    try (Scratch scratch = new Scratch(b.scope())) {
      b.decoder().attentionInput(queries, keys, values, attention, input, positions, rope, scratch);
      Tensor state = b.output(tokens, hidden);
      b.backend().host().copyFromHost(state, b.backend().host().copyToHostFloats(input));
      Tensor attended = b.normal(tokens, queryHeads, headDim);
      b.decoder().attentionOutputAndFeedForward(state, attended, attention, feedForward, scratch);
      return new ArrayList<>(List.of(queries, keys, values, state, input));
    }
  }

  private static AttentionBlock attentionBlock(
      Bench b,
      DType dtype,
      int hidden,
      int queryHeads,
      int kvHeads,
      int headDim,
      boolean optional) {
    return new AttentionBlock(
        b.normal(hidden),
        b.weight(dtype, queryHeads * headDim, hidden),
        optional ? b.normal(queryHeads * headDim) : null,
        b.weight(dtype, kvHeads * headDim, hidden),
        optional ? b.normal(kvHeads * headDim) : null,
        b.weight(dtype, kvHeads * headDim, hidden),
        optional ? b.normal(kvHeads * headDim) : null,
        optional ? b.normal(headDim) : null,
        optional ? b.normal(headDim) : null,
        b.weight(dtype, hidden, queryHeads * headDim),
        optional ? b.normal(hidden) : null,
        1e-5f);
  }

  private static FeedForwardBlock feedForwardBlock(Bench b, DType dtype, int hidden) {
    return new FeedForwardBlock(
        b.normal(hidden),
        b.weight(dtype, 512, hidden),
        b.weight(dtype, 512, hidden),
        b.weight(dtype, hidden, 512),
        1e-5f);
  }

  @Test
  void required_B319_attendingAndFeedingForwardAtOnceIsBothBehindOneAnother() {
    for (DType dtype : List.of(DType.F32, DType.BF16)) {
      for (int tokens : new int[] {1, 13, 207}) {
        for (boolean logSumExp : new boolean[] {false, true}) {
          twins()
              .compareOrRefuse(
                  new OpCall(Operation.ATTEND, List.of(dtype), List.of(Shape.of(8, 2, 64))),
                  "layer " + dtype + " " + tokens + (logSumExp ? " with log-sum-exp" : ""),
                  Bound.ofCache(dtype),
                  b -> attendAndFeedForward(b, dtype, tokens, logSumExp));
        }
      }
    }
  }

  private static List<Tensor> attendAndFeedForward(
      Bench b, DType dtype, int tokens, boolean logSumExp) {
    int hidden = 256;
    int queryHeads = 8;
    int kvHeads = 2;
    int headDim = 64;
    KvLayer layer = b.layer(dtype, kvHeads, tokens + 5, tokens + 9, headDim);
    AttentionBlock attention =
        attentionBlock(b, dtype, hidden, queryHeads, kvHeads, headDim, tokens % 2 == 1);
    FeedForwardBlock feedForward = feedForwardBlock(b, dtype, hidden);
    Tensor queries = b.normal(tokens, queryHeads, headDim);
    Tensor state = b.output(tokens, hidden);
    b.backend().host().copyFromHost(state, b.bits(b.normal(tokens, hidden)));
    Tensor sums = logSumExp ? b.output(queryHeads, tokens) : null;
    try (Scratch scratch = new Scratch(b.scope())) {
      b.backend()
          .attendAndFeedForward(
              state,
              sums,
              queries,
              0.125f,
              List.of(AttendSequence.causal(0, tokens, layer)),
              attention,
              feedForward,
              scratch);
    }
    return sums == null ? List.of(state) : List.of(state, sums);
  }

  @Test
  void required_B312_nanAndInfinitiesPassOnWithTheirSign() {
    float[] special = {
      Float.NaN, INF, -INF, 0, Float.MIN_VALUE, -Float.MAX_VALUE, 80, -80, 1e4f, -1e4f, -0f
    };
    twins()
        .compare(
            "special",
            Bound.SINGLE,
            b -> {
              int size = special.length;
              Tensor sum = b.floats(special, 1, size);
              b.decoder().add(sum, b.normal(1, size));
              Tensor gated = b.output(1, size);
              b.decoder().swiGlu(gated, b.floats(special, 1, size), b.normal(1, size));
              // One infinite input: each output is infinite with the sign of its weight.
              Tensor in = b.normal(3, 64);
              b.backend()
                  .host()
                  .copyFromHost(in.slice(0, 1, 2).slice(1, 9, 10), new float[] {-INF});
              Tensor out = b.output(3, 13);
              b.decoder().linear(out, b.normal(13, 64), null, in);
              Tensor normed = b.output(2, 64);
              Tensor nan = b.normal(2, 64);
              b.backend()
                  .host()
                  .copyFromHost(nan.slice(0, 0, 1).slice(1, 3, 4), new float[] {Float.NaN});
              b.decoder().rmsNorm(normed, nan, b.normal(64), 1e-5f);
              return List.of(sum, gated, out, normed);
            });
  }

  @Test
  void required_B313_noRowsAreNoWork() {
    twins()
        .compare(
            "no rows",
            Bound.EXACT,
            b -> {
              Tensor none = b.normal(0, 64);
              Tensor out = b.output(0, 13);
              b.decoder().linear(out, b.normal(13, 64), b.normal(13), none);
              Tensor embedded = b.output(0, 64);
              b.decoder().embed(embedded, b.normal(7, 64), b.ints(new int[0], 0));
              b.decoder().rmsNorm(none, none, b.normal(64), 1e-5f);
              b.decoder().swiGlu(none, none, none);
              b.decoder().add(none, none);
              Tensor heads = b.normal(0, 2, 32);
              b.decoder().rope(heads, b.ints(new int[0], 0), b.rope(Rope.Style.HALF_SPLIT, 9, 32));
              Tensor likelihoods = b.output(0);
              b.decoder().tokenLogLikelihood(likelihoods, b.normal(0, 50), b.ints(new int[0], 0));
              return List.of(out, embedded, none, heads, likelihoods);
            });
  }

  @Test
  void required_B314_anOperationWritesItsOutputAndNothingElse() {
    for (int size : SIZES) {
      // One row and several take different kernels.
      for (int rows : new int[] {1, 3, 64}) {
        twins()
            .compare(
                "outputs " + rows + " x " + size,
                Bound.SINGLE,
                b -> {
                  Tensor linear = b.gappedOutput(rows, size);
                  Tensor weight = b.normal(size, 13);
                  Tensor in = b.view(rows, 13);
                  b.decoder().linear(linear, weight, null, in);
                  Tensor normed = b.gappedOutput(rows, size);
                  Tensor raw = b.view(rows, size);
                  b.decoder().rmsNorm(normed, raw, b.normal(size), 1e-5f);
                  Tensor gated = b.gappedOutput(rows, size);
                  Tensor up = b.view(rows, size);
                  b.decoder().swiGlu(gated, raw, up);
                  Tensor sum = b.view(rows, size);
                  b.decoder().add(sum, raw);
                  Tensor embedded = b.gappedOutput(rows, size);
                  Tensor table = b.normal(5, size);
                  b.decoder().embed(embedded, table, b.ints(randomInts(b, rows, 5), rows));
                  Tensor heads = b.view(rows, 2, 2 * size);
                  Rope rope = b.rope(Rope.Style.HALF_SPLIT, 9, Math.min(64, 2 * size));
                  b.decoder().rope(heads, b.ints(randomInts(b, rows, 9), rows), rope);
                  Tensor likelihoods = b.output(rows);
                  Tensor targets = b.ints(randomInts(b, rows, size), rows);
                  b.decoder().tokenLogLikelihood(likelihoods, raw, targets);
                  return List.of(
                      linear,
                      normed,
                      gated,
                      sum,
                      embedded,
                      heads,
                      likelihoods,
                      weight,
                      in,
                      raw,
                      up,
                      table,
                      targets);
                });
      }
    }
  }

  @Test
  void required_B315_argumentsThatDoNotFitAreRefused() {
    twins()
        .run(
            "misfits",
            b -> {
              Tensor x = b.normal(4, 64);
              Tensor y = b.normal(4, 32);
              Tensor weight = b.normal(32, 64);
              var calls = new LinkedHashMap<String, Executable>();
              calls.put("input", () -> b.decoder().linear(y, weight, null, y));
              calls.put("output", () -> b.decoder().linear(x, weight, null, x));
              calls.put("rows", () -> b.decoder().linear(b.normal(3, 32), weight, null, x));
              calls.put("bias", () -> b.decoder().linear(y, weight, b.normal(31), x));
              calls.put("norm", () -> b.decoder().rmsNorm(x, x, b.normal(32), 1e-5f));
              calls.put("norm's output", () -> b.decoder().rmsNorm(y, x, b.normal(64), 1e-5f));
              calls.put("gate", () -> b.decoder().swiGlu(x, x, y));
              calls.put("sum", () -> b.decoder().add(x, y));
              calls.put("tokens", () -> b.decoder().embed(y, weight, b.ints(new int[4], 4)));
              calls.put("targets", () -> likelihood(b, b.output(4), x, 3));
              calls.put("likelihoods", () -> likelihood(b, b.output(3), x, 4));
              Rope rope = b.rope(Rope.Style.INTERLEAVED, 9, 32);
              Tensor heads = b.normal(4, 2, 16);
              calls.put("rope", () -> b.decoder().rope(heads, b.ints(new int[4], 4), rope));
              Tensor wide = b.normal(4, 2, 32);
              calls.put("positions", () -> b.decoder().rope(wide, b.ints(new int[3], 3), rope));
              calls.forEach(Twins::assertMismatchRefused);
            });
  }

  private static void likelihood(Bench b, Tensor out, Tensor logits, int targets) {
    b.decoder().tokenLogLikelihood(out, logits, b.ints(new int[targets], targets));
  }

  @Test
  void required_B316_theSameCallGivesTheSameBitsWhateverRanBefore() {
    for (DType dtype : List.of(DType.F32, DType.F16, DType.Q8_0, DType.Q4_K)) {
      for (int tokens : new int[] {1, 64, 207}) {
        var call = new OpCall(Operation.LINEAR, List.of(dtype), List.of(Shape.of(207, 512)));
        twins()
            .runOrRefuse(
                call,
                "repeated " + dtype + " " + tokens,
                b -> {
                  Tensor weight = b.weight(dtype, 207, 512);
                  Tensor in = b.normal(tokens, 512);
                  Tensor norm = b.normal(512);
                  Tensor out = b.output(tokens, 207);
                  Tensor normed = b.output(tokens, 512);
                  b.decoder().linear(out, weight, null, in);
                  b.decoder().rmsNorm(normed, in, norm, 1e-5f);
                  float[] products = b.bits(out);
                  float[] norms = b.bits(normed);
                  linear(dtype, 13, 64, 1024);
                  b.decoder().linear(b.output(3, 207), weight, b.normal(207), b.normal(3, 512));
                  b.decoder().linear(out, weight, null, in);
                  b.decoder().rmsNorm(normed, in, norm, 1e-5f);
                  assertArrayEquals(products, b.bits(out));
                  assertArrayEquals(norms, b.bits(normed));
                });
      }
    }
  }

  @Test
  void required_B317_ropeUsesItsTableAsItStands() {
    for (Rope.Style style : Rope.Style.values()) {
      twins()
          .compare(
              "stretched rope " + style,
              Bound.SINGLE,
              b -> {
                // As YaRN stretches a model of 4096 tokens to 32 times as many.
                Rope rope = b.rope(style, 50, 32, 0.1 * Math.log(32) + 1);
                Tensor heads = b.normal(7, 3, 32);
                b.decoder().rope(heads, b.ints(new int[] {49, 0, 1, 1, 7, 30, 2}, 7), rope);
                return List.of(heads);
              });
    }
  }

  @Test
  @Disabled("the engine gives none; on a device the check would cost each call a round trip")
  void untested_B318_tokensTargetsAndPositionsOutOfRangeAreRefused() {}
}

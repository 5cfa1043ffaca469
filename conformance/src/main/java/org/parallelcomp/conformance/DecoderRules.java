package org.parallelcomp.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

abstract class DecoderRules extends Rules {
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
    var attention =
        new AttentionBlock(
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
    var feedForward =
        new FeedForwardBlock(
            b.normal(hidden),
            b.weight(dtype, 512, hidden),
            b.weight(dtype, 512, hidden),
            b.weight(dtype, hidden, 512),
            1e-5f);
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
}

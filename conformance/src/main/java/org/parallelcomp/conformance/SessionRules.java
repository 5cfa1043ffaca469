package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.AttentionBlock;
import org.parallelcomp.api.backend.FeedForwardBlock;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.backend.Scratch;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** Whole requests: everything that happens to a chunk in one layer, by turns and at once. */
abstract class SessionRules extends Rules {
  private static final int HIDDEN = 256;
  private static final int QUERY_HEADS = 8;
  private static final int KV_HEADS = 2;
  private static final int HEAD_DIM = 32;

  /** A layer's weights, shared by requests. */
  private record Model(AttentionBlock attention, FeedForwardBlock feedForward, Rope rope) {
    static Model of(Bench b) {
      int queries = QUERY_HEADS * HEAD_DIM;
      int keys = KV_HEADS * HEAD_DIM;
      return new Model(
          new AttentionBlock(
              b.normal(HIDDEN),
              b.weight(DType.F32, queries, HIDDEN),
              null,
              b.weight(DType.F32, keys, HIDDEN),
              null,
              b.weight(DType.F32, keys, HIDDEN),
              null,
              null,
              null,
              b.weight(DType.F32, HIDDEN, queries),
              null,
              1e-5f),
          new FeedForwardBlock(
              b.normal(HIDDEN),
              b.weight(DType.F32, 512, HIDDEN),
              b.weight(DType.F32, 512, HIDDEN),
              b.weight(DType.F32, HIDDEN, 512),
              1e-5f),
          b.rope(Rope.Style.HALF_SPLIT, 256, HEAD_DIM));
    }
  }

  /**
   * What a request computes: prefill, evidence, selection, compaction, one more token. Everything
   * but the model lives in a scope of its own.
   */
  private static List<float[]> request(Bench b, Model model, float[] input, int tokens) {
    var seen = new ArrayList<float[]>();
    try (MemoryScope scope = b.scope().child("request");
        Scratch scratch = new Scratch(scope)) {
      KvLayer layer = b.cache().allocate(scope, DType.F32, new int[] {tokens, tokens}, HEAD_DIM);
      Tensor hidden = scope.allocate(DType.F32, Shape.of(tokens, HIDDEN));
      b.backend().host().copyFromHost(hidden, input);
      Tensor positions = scope.allocate(DType.I32, Shape.of(tokens));
      b.backend().host().copyFromHost(positions, IntStream.range(0, tokens).toArray());

      Tensor sums = scope.allocate(DType.F32, Shape.of(QUERY_HEADS, tokens));
      var sequence = layer(b, model, scope, scratch, layer, hidden, positions, sums);
      seen.add(b.bits(hidden));
      seen.add(b.bits(sums));

      Tensor mass = scope.allocate(DType.F32, Shape.of(KV_HEADS, tokens));
      Tensor queries = scratch.take("queries", tokens, QUERY_HEADS, HEAD_DIM);
      b.attention()
          .attentionMass(mass, queries, sums, 0.2f, sequence, 1, 0, tokens, HeadReduction.MEAN);
      Tensor best = b.backend().tensorOps(scope).topK(mass, (tokens + 1) / 2);
      KvLayer kept = b.cache().compact(scope, layer, 0, TokenSelection.uniform(tokens, best));
      seen.add(b.bits(mass));
      seen.add(b.bits(kept.keys()));

      KvLayer context =
          b.cache().allocate(scope, DType.F32, new int[] {tokens + 1, tokens + 1}, HEAD_DIM);
      b.cache().concatenate(context, kept);
      b.cache().rerotate(context, 0, model.rope());
      Tensor next = hidden.slice(0, tokens - 1, tokens);
      Tensor position = positions.slice(0, tokens - 1, tokens);
      Tensor oneSum = scope.allocate(DType.F32, Shape.of(QUERY_HEADS, 1));
      layer(b, model, scope, scratch, context, next, position, oneSum);
      seen.add(b.bits(next));
      return seen;
    }
  }

  private static AttendSequence layer(
      Bench b,
      Model model,
      MemoryScope scope,
      Scratch scratch,
      KvLayer layer,
      Tensor hidden,
      Tensor positions,
      Tensor sums) {
    int tokens = hidden.shape().intDim(0);
    Tensor queries = scratch.take("queries", tokens, QUERY_HEADS, HEAD_DIM);
    Tensor keys = scratch.take("keys", tokens, KV_HEADS, HEAD_DIM);
    Tensor values = scratch.take("values", tokens, KV_HEADS, HEAD_DIM);
    Tensor attended = scope.allocate(DType.F32, queries.shape());
    b.decoder()
        .attentionInput(
            queries, keys, values, model.attention(), hidden, positions, model.rope(), scratch);
    b.cache().append(layer, keys, values, positions);
    var sequence = AttendSequence.causal(0, tokens, layer);
    b.attention().attend(attended, sums, queries, 0.2f, List.of(sequence));
    b.decoder()
        .attentionOutputAndFeedForward(
            hidden, attended, model.attention(), model.feedForward(), scratch);
    return sequence;
  }

  private static void assertSame(String message, List<float[]> expected, List<float[]> actual) {
    for (int i = 0; i < expected.size(); i++) {
      assertArrayEquals(expected.get(i), actual.get(i), message + ", result " + i);
    }
  }

  @Test
  void required_B601_aRequestDoesNotDependOnThoseBeforeIt() {
    twins()
        .run(
            "requests by turns",
            b -> {
              Model model = Model.of(b);
              for (int tokens : new int[] {1, 13, 64}) {
                float[] input = b.bits(b.normal(tokens, HIDDEN));
                List<float[]> first = request(b, model, input, tokens);
                request(b, model, b.bits(b.normal(97, HIDDEN)), 97);
                assertSame(tokens + " tokens", first, request(b, model, input, tokens));
              }
            });
  }

  @Test
  void required_B602_requestsOfTwoThreadsDoNotDisturbOneAnother() {
    twins()
        .run(
            "requests at once",
            b -> {
              Model model = Model.of(b);
              int[] tokens = {1, 64, 13, 97, 7, 64};
              List<float[]> inputs = new ArrayList<>();
              List<List<float[]>> alone = new ArrayList<>();
              for (int count : tokens) {
                inputs.add(b.bits(b.normal(count, HIDDEN)));
                alone.add(request(b, model, inputs.getLast(), count));
              }
              for (int round = 0; round < 3; round++) {
                Bench.inThreads(
                    tokens.length,
                    i ->
                        assertSame(
                            "request " + i,
                            alone.get(i),
                            request(b, model, inputs.get(i), tokens[i])));
              }
            });
  }

  @Test
  void required_B603_aRequestsMemoryGoesWithItsScope() {
    twins()
        .run(
            "memory of requests",
            b -> {
              Model model = Model.of(b);
              float[] input = b.bits(b.normal(64, HIDDEN));
              request(b, model, input, 64);
              long before = b.scope().allocatedBytes();
              for (int round = 0; round < 10; round++) {
                request(b, model, input, 64);
              }
              assertEquals(before, b.scope().allocatedBytes());
            });
  }
}

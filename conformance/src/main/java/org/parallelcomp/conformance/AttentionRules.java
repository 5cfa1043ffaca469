package org.parallelcomp.conformance;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.AttendSequence;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.evidence.HeadReduction;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

abstract class AttentionRules extends Rules {
  private static final int[] GROUPS = {1, 3, 4, 7};

  private static float scale(int headDim) {
    return (float) (1 / Math.sqrt(headDim));
  }

  private static List<Tensor> attend(Bench b, Tensor queries, List<AttendSequence> sequences) {
    Shape shape = queries.shape();
    Tensor out = b.output(shape.toArray());
    Tensor logSumExp = b.output(shape.dim(1), shape.dim(0));
    b.attention().attend(out, logSumExp, queries, scale(shape.intDim(2)), sequences);
    return List.of(out, logSumExp);
  }

  private void causal(DType cache, int tokens, int kvHeads, int group, int headDim) {
    Shape heads = Shape.of(kvHeads * group, kvHeads, headDim);
    twins()
        .compareOrRefuse(
            new OpCall(Operation.ATTEND, List.of(cache), List.of(heads)),
            "causal " + tokens + " tokens, heads " + heads + " over " + cache,
            Bound.ofCache(cache),
            b -> {
              KvLayer layer = b.layer(cache, kvHeads, tokens, tokens + 3, headDim);
              Tensor queries = b.normal(tokens, kvHeads * group, headDim);
              return attend(b, queries, List.of(AttendSequence.causal(0, tokens, layer)));
            });
  }

  @Test
  void required_B401_causalAttentionSeesItsOwnAndEarlierTokensOnly() {
    for (int tokens : new int[] {1, 2, 7, 13, 64, 207}) {
      for (int group : GROUPS) {
        causal(DType.F32, tokens, 2, group, 32);
      }
    }
    for (int headDim : new int[] {8, 16, 64, 80, 128}) {
      causal(DType.F32, 64, 1, 3, headDim);
    }
    causal(DType.F32, 1025, 1, 2, 32);
  }

  @Test
  void required_B402_cachesOfHalfPrecisionAreAttendedOrRefused() {
    for (DType cache : List.of(DType.F16, DType.BF16)) {
      causal(cache, 1, 2, 3, 64);
      causal(cache, 207, 2, 4, 64);
    }
  }

  @Test
  void required_B403_attentionInPiecesIsAttentionAtOnce() {
    twins()
        .compare(
            "pieces",
            Bound.ATTENTION,
            b -> {
              KvLayer layer = b.layer(DType.F32, 2, 0, 120, 32);
              var results = new ArrayList<Tensor>();
              int from = 0;
              for (int rows : new int[] {1, 64, 13, 1, 1, 7, 31}) {
                b.append(layer, rows, from);
                from += rows;
                results.addAll(
                    attend(
                        b, b.normal(rows, 6, 32), List.of(AttendSequence.causal(0, rows, layer))));
              }
              return results;
            });
  }

  @Test
  void required_B404_aRaggedBatchKeepsItsSequencesApart() {
    for (int group : GROUPS) {
      twins()
          .compare(
              "batch, group " + group,
              Bound.ATTENTION,
              b -> {
                KvLayer first = b.layer(DType.F32, 3, 64, 70, 16);
                KvLayer second = b.layer(DType.F32, 3, 7, 7, 16);
                KvLayer source = b.layer(DType.F32, 3, 207, 207, 16);
                KvLayer ragged = b.cache().compact(b.scope(), source, 0, b.raggedSelection(3, 207));
                Tensor queries = b.normal(22, 3 * group, 16);
                return attend(
                    b,
                    queries,
                    List.of(
                        AttendSequence.causal(14, 7, second),
                        AttendSequence.causal(0, 13, first),
                        AttendSequence.over(13, 1, first, 5, 41),
                        new AttendSequence(21, 1, ragged, new int[3], ragged.tokens(), false)));
              });
    }
  }

  @Test
  void required_B405_headsMaySeeRangesOfTheirOwn() {
    twins()
        .compare(
            "ranges",
            Bound.ATTENTION,
            b -> {
              KvLayer layer = b.layer(DType.F32, 3, 100, 100, 32);
              int[] from = {0, 17, 64};
              int[] to = {100, 40, 79};
              return attend(
                  b,
                  b.normal(13, 9, 32),
                  List.of(new AttendSequence(0, 13, layer, from, to, true)));
            });
  }

  @Test
  void required_B406_aRowThatSeesNothingGetsZerosAndNegativeInfinity() {
    twins()
        .compare(
            "nothing",
            Bound.ATTENTION,
            b -> {
              KvLayer layer = b.layer(DType.F32, 2, 9, 9, 16);
              int[] from = {3, 0};
              int[] to = {3, 9};
              return attend(
                  b, b.normal(3, 4, 16), List.of(new AttendSequence(0, 3, layer, from, to, false)));
            });
  }

  @Test
  void required_B407_tokensThatAreNotVisibleHaveNoEffectEvenIfNan() {
    twins()
        .compare(
            "nan beyond",
            Bound.ATTENTION,
            b -> {
              KvLayer layer = b.layer(DType.F32, 2, 50, 80, 32);
              float[] bad = new float[30 * 2 * 32];
              Arrays.fill(bad, Float.NaN);
              Tensor nan = b.floats(bad, 30, 2, 32);
              b.cache().append(layer, nan, nan, b.ints(new int[30], 30));
              var results = new ArrayList<Tensor>();
              for (int rows : new int[] {1, 13}) {
                Tensor queries = b.normal(rows, 6, 32);
                results.addAll(
                    attend(b, queries, List.of(AttendSequence.over(0, rows, layer, 7, 50))));
                results.addAll(
                    attend(
                        b,
                        queries,
                        List.of(
                            new AttendSequence(
                                0, rows, layer, new int[2], new int[] {50, 50}, true))));
              }
              return results;
            });
  }

  @Test
  void required_B408_largeProductsDoNotOverflow() {
    twins()
        .compare(
            "large",
            Bound.HALF,
            b -> {
              KvLayer layer = b.layer(DType.F32, 1, 64, 64, 32);
              Tensor queries = b.ops().affine(b.normal(64, 2, 32), 30, 0);
              return attend(b, queries, List.of(AttendSequence.causal(0, 64, layer)));
            });
  }

  @Test
  void required_B409_callsFromSeveralThreadsDoNotDisturbOneAnother() {
    twins()
        .compare(
            "attend in threads",
            Bound.ATTENTION,
            b -> {
              KvLayer layer = b.layer(DType.F32, 2, 207, 207, 32);
              List<Tensor> queries = new ArrayList<>();
              List<Tensor> outs = new ArrayList<>();
              for (int rows : new int[] {1, 64, 13, 1, 200, 7, 64, 1}) {
                queries.add(b.normal(rows, 6, 32));
                outs.add(b.output(rows, 6, 32));
              }
              Bench.inThreads(
                  outs.size(),
                  i -> {
                    int rows = queries.get(i).shape().intDim(0);
                    var sequence = AttendSequence.causal(0, rows, layer);
                    b.attention()
                        .attend(outs.get(i), null, queries.get(i), scale(32), List.of(sequence));
                  });
              return outs;
            });
  }

  @Test
  void required_B410_theLogSumExpIsOptional() {
    twins()
        .compare(
            "no log-sum-exp",
            Bound.ATTENTION,
            b -> {
              KvLayer layer = b.layer(DType.F32, 2, 64, 64, 32);
              Tensor out = b.output(64, 6, 32);
              b.attention()
                  .attend(
                      out,
                      null,
                      b.normal(64, 6, 32),
                      scale(32),
                      List.of(AttendSequence.causal(0, 64, layer)));
              return List.of(out);
            });
  }

  @Test
  void required_B411_partialAttentionsMergeToAttentionOverAll() {
    for (int rows : new int[] {1, 13, 64}) {
      twins()
          .compare(
              "merge " + rows,
              Bound.ATTENTION,
              b -> {
                KvLayer layer = b.layer(DType.F32, 2, 207, 207, 32);
                Tensor queries = b.normal(rows, 6, 32);
                int[] cuts = {0, 64, 64, 71, 207};
                var outs = new ArrayList<Tensor>();
                var logSumExps = new ArrayList<Tensor>();
                for (int p = 0; p + 1 < cuts.length; p++) {
                  List<Tensor> partial =
                      attend(
                          b,
                          queries,
                          List.of(AttendSequence.over(0, rows, layer, cuts[p], cuts[p + 1])));
                  outs.add(partial.get(0));
                  logSumExps.add(partial.get(1));
                }
                Tensor out = b.output(rows, 6, 32);
                Tensor logSumExp = b.output(6, rows);
                b.attention().mergePartial(out, logSumExp, outs, logSumExps);
                var results = new ArrayList<Tensor>(List.of(out, logSumExp));
                // In place, and without a log-sum-exp.
                b.attention().mergePartial(outs.getFirst(), null, outs, logSumExps);
                results.add(outs.getFirst());
                // The law itself: on the oracle both are equal too.
                results.addAll(
                    attend(b, queries, List.of(AttendSequence.over(0, rows, layer, 0, 207))));
                return results;
              });
    }
  }

  @Test
  void required_B412_partialAttentionsOverNothingMergeToNothing() {
    twins()
        .compare(
            "merge nothing",
            Bound.ATTENTION,
            b -> {
              KvLayer layer = b.layer(DType.F32, 1, 9, 9, 16);
              Tensor queries = b.normal(2, 2, 16);
              List<Tensor> a = attend(b, queries, List.of(AttendSequence.over(0, 2, layer, 4, 4)));
              List<Tensor> c = attend(b, queries, List.of(AttendSequence.over(0, 2, layer, 9, 9)));
              Tensor out = b.output(2, 2, 16);
              Tensor logSumExp = b.output(2, 2);
              b.attention()
                  .mergePartial(
                      out, logSumExp, List.of(a.get(0), c.get(0)), List.of(a.get(1), c.get(1)));
              return List.of(out, logSumExp);
            });
  }

  @Test
  void required_B413_attentionMassSumsTheWindowAndReducesTheGroup() {
    for (int group : GROUPS) {
      for (HeadReduction reduction : HeadReduction.values()) {
        for (int window : new int[] {1, 8, 20}) {
          twins()
              .compare(
                  "mass of " + window + ", group " + group + ", " + reduction,
                  Bound.ATTENTION,
                  b -> {
                    KvLayer layer = b.layer(DType.F32, 2, 207, 210, 32);
                    Tensor queries = b.normal(33, 2 * group, 32);
                    var other = AttendSequence.over(0, 13, layer, 0, 100);
                    var sequence =
                        new AttendSequence(13, 20, layer, new int[2], layer.tokens(), true);
                    List<Tensor> attended = attend(b, queries, List.of(other, sequence));
                    var results = new ArrayList<Tensor>();
                    for (int[] keys : new int[][] {{4, 187}, {0, 207}, {190, 207}, {64, 64}}) {
                      int rows = reduction == HeadReduction.NONE ? 2 * group : 2;
                      Tensor mass = b.output(rows, keys[1] - keys[0]);
                      b.attention()
                          .attentionMass(
                              mass,
                              queries,
                              attended.get(1),
                              scale(32),
                              sequence,
                              window,
                              keys[0],
                              keys[1],
                              reduction);
                      results.add(mass);
                    }
                    return results;
                  });
        }
      }
    }
  }

  @Test
  void required_B414_attentionMassOverEverythingIsTheNumberOfQueries() {
    twins()
        .compare(
            "total mass",
            Bound.ATTENTION,
            b -> {
              KvLayer layer = b.layer(DType.F32, 3, 100, 100, 32);
              Tensor queries = b.normal(40, 12, 32);
              var sequence = AttendSequence.causal(0, 40, layer);
              Tensor logSumExp = attend(b, queries, List.of(sequence)).get(1);
              Tensor mass = b.output(3, 100);
              b.attention()
                  .attentionMass(
                      mass, queries, logSumExp, scale(32), sequence, 9, 0, 100, HeadReduction.MEAN);
              return List.of(b.ops().affine(b.ops().sum(mass, 1), 1, 0), mass);
            });
  }
}

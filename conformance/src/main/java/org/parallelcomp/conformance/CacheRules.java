package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

abstract class CacheRules extends Rules {
  private static final List<DType> TYPES = List.of(DType.F32, DType.F16, DType.BF16);

  private static OpCall call(DType dtype) {
    return new OpCall(Operation.CACHE, List.of(dtype), List.of(Shape.of(3, 32)));
  }

  @Test
  void required_B501_aNewLayerIsEmptyAndHasTheCapacitiesAskedFor() {
    twins()
        .run(
            "empty",
            b -> {
              int[] capacities = {7, 0, 13};
              KvLayer layer = b.cache().allocate(b.scope(), DType.F32, capacities, 16);
              assertArrayEquals(new int[3], layer.tokens());
              assertEquals(20, layer.firstSlot(3));
              assertEquals(Shape.of(20, 16), layer.keys().shape());
            });
  }

  @Test
  void required_B502_appendedTokensStandBehindThoseOfEachHead() {
    for (DType dtype : TYPES) {
      twins()
          .compareOrRefuse(
              call(dtype),
              "append " + dtype,
              Bound.EXACT,
              b -> {
                KvLayer layer = b.layer(dtype, 3, 64, 300, 32);
                b.append(layer, 1, 64);
                b.append(layer, 207, 65);
                b.append(layer, 0, 0);
                return b.contents(layer);
              });
    }
  }

  @Test
  void required_B503_appendingToRaggedHeadsKeepsThemRagged() {
    twins()
        .compare(
            "append ragged",
            Bound.EXACT,
            b -> {
              KvLayer layer = b.cache().allocate(b.scope(), DType.F32, new int[] {40, 20, 30}, 16);
              KvLayer source = b.layer(DType.F32, 3, 13, 13, 16);
              b.cache()
                  .concatenate(
                      layer, b.cache().compact(b.scope(), source, 0, b.raggedSelection(3, 13)));
              b.append(layer, 7, 100);
              return b.contents(layer);
            });
  }

  @Test
  void required_B504_compactingKeepsOrderAndPositionsAndLeavesTheSource() {
    for (DType dtype : TYPES) {
      for (int tokens : SIZES) {
        twins()
            .compareOrRefuse(
                call(dtype),
                "compact " + dtype + " " + tokens,
                Bound.EXACT,
                b -> {
                  KvLayer source = b.layer(dtype, 3, tokens + 9, tokens + 20, 32);
                  var uniform =
                      TokenSelection.uniform(
                          tokens, b.ops().topK(b.normal(3, tokens), (tokens + 1) / 2));
                  var results = new ArrayList<Tensor>();
                  for (TokenSelection selection :
                      List.of(
                          b.raggedSelection(3, tokens),
                          uniform,
                          TokenSelection.everything(3, tokens))) {
                    KvLayer kept = b.cache().compact(b.scope(), source, 4, selection);
                    assertEquals(kept.headTokens(), kept.keys().shape().dim(0), "spare slots");
                    results.addAll(b.contents(kept));
                  }
                  results.addAll(b.contents(source));
                  return results;
                });
      }
    }
  }

  @Test
  void required_B505_keepingEverythingIsTheIdentityBitForBit() {
    twins()
        .run(
            "identity",
            b -> {
              KvLayer source = b.layer(DType.F32, 3, 207, 300, 32);
              KvLayer kept =
                  b.cache().compact(b.scope(), source, 0, TokenSelection.everything(3, 207));
              List<Tensor> before = b.contents(source);
              List<Tensor> after = b.contents(kept);
              for (int i = 0; i < before.size(); i++) {
                if (before.get(i).dtype() == DType.I32) {
                  assertArrayEquals(
                      backend().host().copyToHostInts(before.get(i)),
                      backend().host().copyToHostInts(after.get(i)));
                } else {
                  assertArrayEquals(
                      backend().host().copyToHostFloats(before.get(i)),
                      backend().host().copyToHostFloats(after.get(i)));
                }
              }
            });
  }

  @Test
  void required_B506_compactedLayersLiveInTheScopeGiven() {
    twins()
        .run(
            "scopes",
            b -> {
              MemoryScope inner = b.scope().child("inner");
              KvLayer source = b.cache().allocate(inner, DType.F32, new int[] {50, 50}, 32);
              b.append(source, 50, 0);
              KvLayer kept =
                  b.cache().compact(b.scope(), source, 0, TokenSelection.everything(2, 50));
              float[] before = backend().host().copyToHostFloats(source.keys());
              inner.close();
              assertArrayEquals(before, backend().host().copyToHostFloats(kept.keys()));
            });
  }

  @Test
  void required_B507_concatenatingGoesHeadByHead() {
    for (DType dtype : TYPES) {
      twins()
          .compareOrRefuse(
              call(dtype),
              "concatenate " + dtype,
              Bound.EXACT,
              b -> {
                KvLayer target = b.layer(dtype, 3, 13, 500, 32);
                for (int tokens : new int[] {1, 64, 207}) {
                  KvLayer source = b.layer(dtype, 3, tokens, tokens, 32);
                  b.cache()
                      .concatenate(
                          target,
                          b.cache().compact(b.scope(), source, 0, b.raggedSelection(3, tokens)));
                }
                return b.contents(target);
              });
    }
  }

  @Test
  void required_B508_rerotatingMovesEveryKeyToItsPlace() {
    for (Rope.Style style : Rope.Style.values()) {
      twins()
          .compare(
              "rerotate " + style,
              Bound.SINGLE,
              b -> {
                Rope rope = b.rope(style, 400, 24);
                KvLayer source = b.layer(DType.F32, 3, 207, 207, 32);
                KvLayer ragged = b.cache().compact(b.scope(), source, 0, b.raggedSelection(3, 207));
                b.cache().rerotate(ragged, 5, rope);
                b.cache().rerotate(source, 100, rope);
                var results = new ArrayList<>(b.contents(ragged));
                results.addAll(b.contents(source));
                return results;
              });
    }
  }
}

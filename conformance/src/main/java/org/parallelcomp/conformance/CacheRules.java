package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.ErrorCode;
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

  private static List<float[]> bits(Bench b, KvLayer layer) {
    return b.contents(layer).stream()
        .filter(tensor -> tensor.dtype() != DType.I32)
        .map(b::bits)
        .toList();
  }

  @Test
  void required_B509_appendingBeyondTheCapacityIsRefusedAndChangesNothing() {
    twins()
        .compare(
            "full",
            Bound.EXACT,
            b -> {
              KvLayer layer = b.cache().allocate(b.scope(), DType.F32, new int[] {9, 4, 9}, 16);
              b.append(layer, 3, 0);
              KvLayer source = b.layer(DType.F32, 3, 2, 2, 16);
              Twins.assertRefused(ErrorCode.INTERNAL, "append", () -> b.append(layer, 2, 3));
              Twins.assertRefused(
                  ErrorCode.INTERNAL, "concatenate", () -> b.cache().concatenate(layer, source));
              b.append(layer, 1, 3);
              assertArrayEquals(new int[] {4, 4, 4}, layer.tokens());
              return b.contents(layer);
            });
  }

  @Test
  void required_B510_onlyTheSlotsOfNewTokensAreWritten() {
    for (DType dtype : TYPES) {
      twins()
          .compareOrRefuse(
              call(dtype),
              "spare slots of " + dtype,
              Bound.EXACT,
              b -> {
                // Filled, then shortened: what lies behind the tokens must stay as it is.
                KvLayer layer = b.layer(dtype, 3, 40, 40, 7);
                shorten(layer, 10, 0, 33);
                b.append(layer, 1, 100);
                b.append(layer, 5, 101);
                b.cache().concatenate(layer, b.layer(dtype, 3, 1, 1, 7));
                shorten(layer, 40, 40, 40);
                return b.contents(layer);
              });
    }
  }

  private static void shorten(KvLayer layer, int... tokens) {
    for (int h = 0; h < tokens.length; h++) {
      layer.setTokens(h, tokens[h]);
    }
  }

  @Test
  void required_B511_rerotatingByAStretchingTableStretchesOnce() {
    for (Rope.Style style : Rope.Style.values()) {
      twins()
          .compare(
              "stretched " + style,
              Bound.SINGLE,
              b -> {
                Rope rope = b.rope(style, 300, 32, 1.3);
                Tensor keys = b.normal(50, 2, 32);
                Tensor positions = b.ints(IntStream.range(200, 250).toArray(), 50);
                b.decoder().rope(keys, positions, rope);
                KvLayer layer = b.cache().allocate(b.scope(), DType.F32, new int[] {50, 50}, 32);
                b.cache().append(layer, keys, b.normal(50, 2, 32), positions);
                b.cache().rerotate(layer, 17, rope);
                return b.contents(layer);
              });
    }
  }

  @Test
  void required_B512_viewsCanBeAppended() {
    for (DType dtype : TYPES) {
      twins()
          .compareOrRefuse(
              call(dtype),
              "views to " + dtype,
              Bound.EXACT,
              b -> {
                KvLayer layer = b.cache().allocate(b.scope(), dtype, new int[] {20, 30}, 32);
                for (int tokens : new int[] {1, 13}) {
                  Tensor positions = b.ints(IntStream.range(0, 2 * tokens).toArray(), 2L * tokens);
                  b.cache()
                      .append(
                          layer,
                          b.view(tokens, 2, 32),
                          b.view(tokens, 2, 32),
                          positions.slice(0, tokens, 2L * tokens));
                }
                return b.contents(layer);
              });
    }
  }

  @Test
  void required_B513_layersAndSelectionsThatDoNotFitAreRefused() {
    twins()
        .run(
            "misfits",
            b -> {
              KvLayer layer = b.layer(DType.F32, 2, 9, 20, 16);
              var calls = new LinkedHashMap<String, Executable>();
              calls.put(
                  "heads", () -> b.cache().concatenate(layer, b.layer(DType.F32, 1, 3, 3, 16)));
              calls.put(
                  "head size", () -> b.cache().concatenate(layer, b.layer(DType.F32, 2, 3, 3, 8)));
              if (backend().supports(call(DType.F16))) {
                calls.put(
                    "types", () -> b.cache().concatenate(layer, b.layer(DType.F16, 2, 3, 3, 16)));
              }
              calls.put("keys", () -> append(b, layer, b.normal(3, 1, 16), b.normal(3, 2, 16), 3));
              calls.put(
                  "values", () -> append(b, layer, b.normal(3, 2, 16), b.normal(2, 2, 16), 3));
              calls.put(
                  "positions", () -> append(b, layer, b.normal(3, 2, 16), b.normal(3, 2, 16), 2));
              calls.put("tokens", () -> compact(b, layer, 0, TokenSelection.everything(2, 10)));
              calls.put("first token", () -> compact(b, layer, 4, TokenSelection.everything(2, 6)));
              calls.put("selection", () -> compact(b, layer, 0, TokenSelection.everything(3, 9)));
              List<float[]> before = bits(b, layer);
              calls.forEach(Twins::assertMismatchRefused);
              assertArrayEquals(new int[] {9, 9}, layer.tokens());
              assertSame(before, bits(b, layer));
            });
  }

  private static void append(Bench b, KvLayer layer, Tensor keys, Tensor values, int positions) {
    b.cache().append(layer, keys, values, b.ints(new int[positions], positions));
  }

  private static void compact(Bench b, KvLayer layer, int fromToken, TokenSelection selection) {
    b.cache().compact(b.scope(), layer, fromToken, selection);
  }

  private static void assertSame(List<float[]> before, List<float[]> after) {
    assertEquals(before.size(), after.size());
    for (int i = 0; i < before.size(); i++) {
      assertArrayEquals(before.get(i), after.get(i), "part " + i);
    }
  }

  @Test
  void required_B514_forgottenTokensAreOverwritten() {
    twins()
        .compare(
            "forget",
            Bound.EXACT,
            b -> {
              KvLayer layer = b.layer(DType.F32, 2, 64, 64, 32);
              shorten(layer, 50, 50);
              b.append(layer, 3, 200);
              shorten(layer, 51, 52);
              b.append(layer, 2, 300);
              return b.contents(layer);
            });
  }

  @Test
  void required_B515_aCompactedLayerTakesNoMoreThanItsSlots() {
    for (DType dtype : TYPES) {
      twins()
          .runOrRefuse(
              call(dtype),
              "bytes of " + dtype,
              b -> {
                KvLayer source = b.layer(dtype, 3, 1025, 2000, 32);
                TokenSelection selection = b.raggedSelection(3, 1025);
                MemoryScope scope = b.scope().child("kept");
                KvLayer kept = b.cache().compact(scope, source, 0, selection);
                long positions = DType.I32.bytes(kept.headTokens());
                // Three tensors, each rounded up to a page at the most.
                long most = kept.keptBytes() + positions + 3 * 4096;
                assertTrue(scope.allocatedBytes() <= most, scope.allocatedBytes() + " > " + most);
                long before = b.scope().allocatedBytes();
                scope.close();
                assertTrue(
                    before - b.scope().allocatedBytes() >= kept.keptBytes(),
                    "closing its scope freed nothing");
              });
    }
  }

  @Test
  void required_B516_rerotatingBeyondTheTableIsRefusedAndChangesNothing() {
    twins()
        .run(
            "beyond the table",
            b -> {
              KvLayer layer = b.layer(DType.F32, 2, 20, 20, 32);
              Rope rope = b.rope(Rope.Style.HALF_SPLIT, 40, 32);
              List<float[]> before = bits(b, layer);
              for (int first : new int[] {21, 1000, -1}) {
                Twins.assertRefused(
                    ErrorCode.INTERNAL,
                    "from " + first,
                    () -> b.cache().rerotate(layer, first, rope));
              }
              assertSame(before, bits(b, layer));
              b.cache().rerotate(layer, 20, rope);
            });
  }

  @Test
  void required_B517_layersWithoutTokensAreLayers() {
    twins()
        .compare(
            "nothing",
            Bound.EXACT,
            b -> {
              KvLayer layer = b.layer(DType.F32, 2, 9, 20, 16);
              Rope rope = b.rope(Rope.Style.INTERLEAVED, 40, 16);
              TokenSelection none = b.ops().selectWhere(b.ops().full(Shape.of(2, 9), 0));
              KvLayer kept = b.cache().compact(b.scope(), layer, 0, none);
              KvLayer again =
                  b.cache().compact(b.scope(), kept, 0, TokenSelection.everything(2, 0));
              b.cache().rerotate(again, 3, rope);
              b.cache().concatenate(layer, again);
              b.append(kept, 0, 0);
              var results = new ArrayList<Tensor>(b.contents(layer));
              results.addAll(b.contents(kept));
              results.addAll(b.contents(again));
              return results;
            });
  }

  @Test
  void required_B518_halfPrecisionCachesAreRerotatedOrRefused() {
    for (DType dtype : List.of(DType.F16, DType.BF16)) {
      twins()
          .compareOrRefuse(
              call(dtype),
              "rerotate " + dtype,
              Bound.ofRotated(dtype),
              b -> {
                KvLayer layer = b.layer(dtype, 2, 50, 50, 32);
                b.cache().rerotate(layer, 100, b.rope(Rope.Style.HALF_SPLIT, 200, 32));
                return b.contents(layer);
              });
    }
  }

  @Test
  void required_B519_aLayerOfAnotherSessionIsCopiedWhole() {
    try (Backend other = provider().open(new BackendConfig(2, Map.of()))) {
      for (DType dtype : TYPES) {
        twins()
            .compareOrRefuse(
                call(dtype),
                "copy of another session " + dtype,
                Bound.EXACT,
                b -> {
                  KvLayer source = b.layer(dtype, 3, 13, 16, 32);
                  KvLayer kept = b.cache().compact(b.scope(), source, 0, b.raggedSelection(3, 13));
                  if (!b.backend().info().id().equals(other.info().id())) {
                    return b.contents(kept);
                  }
                  try (MemoryScope scope = other.openScope("copy")) {
                    KvLayer there = other.copyOf(scope, b.backend(), kept);
                    assertEquals(there.headTokens(), there.keys().shape().dim(0), "spare slots");
                    return b.contents(b.backend().copyOf(b.scope(), other, there));
                  }
                });
      }
    }
  }
}

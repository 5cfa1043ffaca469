package org.parallelcomp.backend.cpu.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.cache.KvLayer;
import org.parallelcomp.api.cache.TokenSelection;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;

@Tag("kernel")
class CacheTest {
  private final Fixture f = new Fixture(31);

  @AfterEach
  void close() {
    f.close();
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "F16", "BF16"})
  void appendsToEveryHead(DType dtype) {
    KvLayer layer = f.backend.cache().allocate(f.scope, dtype, new int[] {700, 600}, 32);
    float[] keys = f.numbers(600 * 2 * 32);
    float[] values = f.numbers(600 * 2 * 32);
    Tensor keyTensor = f.tensor(keys, 600, 2, 32);
    Tensor valueTensor = f.tensor(values, 600, 2, 32);
    int[] positions = IntStream.range(0, 600).map(i -> 3 * i).toArray();
    for (int[] part : new int[][] {{0, 1}, {1, 500}, {500, 600}}) {
      f.backend
          .cache()
          .append(
              layer,
              keyTensor.slice(0, part[0], part[1]),
              valueTensor.slice(0, part[0], part[1]),
              f.ints(Arrays.copyOfRange(positions, part[0], part[1])));
    }
    assertArrayEquals(new int[] {600, 600}, layer.tokens());
    double error = dtype == DType.F32 ? 0 : dtype == DType.F16 ? 1 / 2047.0 : 1 / 255.0;
    float[] storedKeys = f.floats(layer.keys());
    float[] storedValues = f.floats(layer.values());
    int[] storedPositions = f.integers(layer.positions());
    for (int head = 0; head < 2; head++) {
      for (int token = 0; token < 600; token++) {
        int slot = layer.firstSlot(head) + token;
        assertEquals(positions[token], storedPositions[slot]);
        for (int dim = 0; dim < 32; dim++) {
          int from = (token * 2 + head) * 32 + dim;
          float key = keys[from];
          float value = values[from];
          assertEquals(key, storedKeys[slot * 32 + dim], Math.abs(key) * error + 1e-30);
          assertEquals(value, storedValues[slot * 32 + dim], Math.abs(value) * error + 1e-30);
        }
      }
    }
  }

  @Test
  void refusesWhatDoesNotFit() {
    KvLayer layer = f.layer(DType.F32, 32, 10, 12);
    Tensor one = f.random(1, 2, 32);
    assertThrows(
        InferenceException.class, () -> f.backend.cache().append(layer, one, one, f.ints(10)));
    assertThrows(
        InferenceException.class,
        () -> f.backend.cache().concatenate(layer, f.layer(DType.F32, 32, 1, 0)));
    assertThrows(
        InferenceException.class,
        () -> f.backend.cache().compact(f.scope, layer, 1, TokenSelection.everything(2, 10)));
    assertThrows(
        InferenceException.class,
        () ->
            f.backend
                .cache()
                .compact(
                    f.scope, layer, 0, TokenSelection.of(10, new int[] {2, 1}, f.ints(5, 5, 0))));
    assertThrows(
        InferenceException.class,
        () -> f.backend.cache().allocate(f.scope, DType.Q8_0, new int[] {1}, 32));
  }

  @ParameterizedTest
  @EnumSource(names = {"F32", "F16"})
  void compactsHeadsToTheirOwnLengths(DType dtype) {
    KvLayer layer = f.layer(dtype, 32, 900, 800);
    int[] first = IntStream.range(0, 700).filter(i -> i % 3 == 0 || i > 600).toArray();
    int[] second = {0, 699};
    int[] indices = IntStream.concat(Arrays.stream(first), Arrays.stream(second)).toArray();
    KvLayer compacted =
        f.backend
            .cache()
            .compact(
                f.scope,
                layer,
                50,
                TokenSelection.of(700, new int[] {first.length, 2}, f.ints(indices)));
    assertArrayEquals(new int[] {first.length, 2}, compacted.tokens());
    assertEquals(first.length + 2, compacted.keys().shape().dim(0));
    float[] keys = f.floats(layer.keys());
    float[] values = f.floats(layer.values());
    float[] newKeys = f.floats(compacted.keys());
    float[] newValues = f.floats(compacted.values());
    int[] positions = f.integers(compacted.positions());
    for (int i = 0; i < indices.length; i++) {
      int from = layer.firstSlot(i < first.length ? 0 : 1) + 50 + indices[i];
      assertEquals(50 + indices[i], positions[i]);
      assertArrayEquals(row(keys, from), row(newKeys, i));
      assertArrayEquals(row(values, from), row(newValues, i));
    }
  }

  @Test
  void keepingEverythingIsACopy() {
    KvLayer layer = f.layer(DType.F32, 32, 300, 300);
    KvLayer copy = f.backend.cache().compact(f.scope, layer, 0, TokenSelection.everything(2, 300));
    assertArrayEquals(f.floats(layer.keys()), f.floats(copy.keys()));
    assertArrayEquals(f.floats(layer.values()), f.floats(copy.values()));
    assertArrayEquals(f.integers(layer.positions()), f.integers(copy.positions()));
  }

  @Test
  void concatenatesHeadByHead() {
    KvLayer a = f.layer(DType.F32, 32, 3, 500);
    KvLayer b = f.layer(DType.F32, 32, 400, 0);
    KvLayer both = f.backend.cache().allocate(f.scope, DType.F32, new int[] {403, 510}, 32);
    f.backend.cache().concatenate(both, a);
    f.backend.cache().concatenate(both, b);
    assertArrayEquals(new int[] {403, 500}, both.tokens());
    float[] keys = f.floats(both.keys());
    float[] values = f.floats(both.values());
    assertArrayEquals(row(f.floats(a.keys()), 2), row(keys, 2));
    assertArrayEquals(row(f.floats(b.keys()), 0), row(keys, 3));
    assertArrayEquals(row(f.floats(b.values()), 399), row(values, 402));
    assertArrayEquals(row(f.floats(a.values()), 3 + 499), row(values, 403 + 499));
    assertEquals(399, f.integers(both.positions())[402]);
  }

  @ParameterizedTest
  @EnumSource
  void rerotatedKeysEqualKeysRotatedThere(Rope.Style style) {
    Rope rope = DecoderTest.rope(f, style, 64, 24, 1.3);
    float[] raw = f.numbers(20 * 2 * 32);
    KvLayer far = cached(raw, rope, IntStream.range(40, 60).toArray());
    KvLayer near = cached(raw, rope, IntStream.range(5, 25).toArray());
    f.backend.cache().rerotate(far, 5, rope);
    double[] expected = new double[raw.length];
    float[] keys = f.floats(near.keys());
    Arrays.setAll(expected, i -> keys[i]);
    f.assertClose(expected, f.floats(far.keys()), 1e-6, "keys");
    assertArrayEquals(f.integers(near.positions()), f.integers(far.positions()));
    assertThrows(InferenceException.class, () -> f.backend.cache().rerotate(far, 45, rope));
  }

  private KvLayer cached(float[] raw, Rope rope, int[] positions) {
    Tensor keys = f.tensor(raw, 20, 2, 32);
    f.backend.decoder().rope(keys, f.ints(positions), rope);
    KvLayer layer = f.backend.cache().allocate(f.scope, DType.F32, new int[] {20, 20}, 32);
    f.backend.cache().append(layer, keys, keys, f.ints(positions));
    return layer;
  }

  private static float[] row(float[] all, int slot) {
    return Arrays.copyOfRange(all, slot * 32, slot * 32 + 32);
  }
}

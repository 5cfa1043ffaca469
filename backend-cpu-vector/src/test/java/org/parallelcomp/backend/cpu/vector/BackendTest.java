package org.parallelcomp.backend.cpu.vector;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.module.ModuleDescriptor;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

class BackendTest {
  private final Fixture f = new Fixture(5);

  @TempDir Path folder;

  @AfterEach
  void close() {
    f.close();
  }

  @Test
  void isFoundAndUsable() {
    ModuleDescriptor module = CpuBackendProvider.class.getModule().getDescriptor();
    assertEquals(
        List.of(CpuBackendProvider.class.getName()),
        module.provides().stream()
            .filter(p -> p.service().equals(BackendProvider.class.getName()))
            .flatMap(p -> p.providers().stream())
            .toList());
    BackendProvider provider = new CpuBackendProvider();
    assertEquals("cpu-vector", provider.id());
    Availability.Usable usable = assertInstanceOf(Availability.Usable.class, provider.probe());
    assertTrue(usable.description().matches("\\d+-bit vectors, \\d+ cores"), usable.description());
  }

  @Test
  void refusesUnknownAndBadOptions() {
    var unknown =
        assertThrows(
            InferenceException.class,
            () -> new CpuBackendProvider().open(new BackendConfig(1, Map.of("vectorBit", "256"))));
    assertEquals(ErrorCode.UNKNOWN_NAME, unknown.code());
    assertTrue(unknown.getMessage().contains("'vectorBits'"), unknown.getMessage());
    var bad =
        assertThrows(
            InferenceException.class,
            () -> new CpuBackendProvider().open(new BackendConfig(1, Map.of("vectorBits", "300"))));
    assertEquals(ErrorCode.INVALID_ARGUMENT, bad.code());
  }

  @Test
  void aWidthBelowTheOneInUseIsRefused() {
    int used = Integer.parseInt(f.backend.info().facts().get("vectorBits"));
    try (Backend same =
        new CpuBackendProvider()
            .open(new BackendConfig(1, Map.of("vectorBits", Integer.toString(used))))) {
      assertEquals(Integer.toString(used), same.info().facts().get("vectorBits"));
    }
    if (used > 128) {
      assertThrows(
          InferenceException.class,
          () -> new CpuBackendProvider().open(new BackendConfig(1, Map.of("vectorBits", "128"))));
    }
  }

  @Test
  void reportsMemory() {
    var info = f.backend.info();
    assertEquals(2, info.threads());
    assertTrue(info.totalBytes() > 1 << 28, () -> "total " + info.totalBytes());
    assertTrue(
        info.freeBytes() > 0 && info.freeBytes() <= info.totalBytes(),
        () -> "free " + info.freeBytes());
  }

  @Test
  void refusesWhatBelongsToAnotherSession() {
    try (var other = new CpuBackendProvider().open(new BackendConfig(1, Map.of()));
        var scope = other.openScope("other")) {
      var tensor = scope.allocate(DType.F32, Shape.of(4, 8));
      var error =
          assertThrows(InferenceException.class, () -> f.backend.host().copyToHostFloats(tensor));
      assertEquals(ErrorCode.INTERNAL, error.code());
    }
  }

  @Test
  void tellsWhatItSupports() {
    assertTrue(f.backend.supports(call(Operation.LINEAR, DType.Q6_K)));
    assertFalse(f.backend.supports(call(Operation.EMBED, DType.I32)));
    assertTrue(f.backend.supports(call(Operation.CACHE, DType.F16)));
    assertFalse(f.backend.supports(call(Operation.ATTEND, DType.Q8_0)));
    assertFalse(
        f.backend.supports(
            new OpCall(Operation.LINEAR, List.of(DType.Q4_K), List.of(Shape.of(64, 576)))));
    assertFalse(
        f.backend.supports(
            new OpCall(Operation.ATTEND, List.of(DType.F32), List.of(Shape.of(9, 2, 64)))));
  }

  private static OpCall call(Operation operation, DType dtype) {
    return new OpCall(operation, List.of(dtype), List.of());
  }

  @Test
  void mapsRegionsAtAnyOffset() throws Exception {
    Path file = folder.resolve("weights");
    ByteBuffer bytes = ByteBuffer.allocate(3 + 4 * 64).order(ByteOrder.LITTLE_ENDIAN);
    float[] numbers = f.numbers(64);
    bytes.position(3);
    for (float number : numbers) {
      bytes.putFloat(number);
    }
    Files.write(file, bytes.array());
    FileRegion region = new FileRegion(file, 3, 256);
    Tensor weight = f.backend.load(f.scope, region, DType.F32, Shape.of(2, 32));
    assertArrayEquals(numbers, f.floats(weight));
    for (int tokens : new int[] {1, 30}) {
      Tensor in = f.random(tokens, 32);
      Tensor expected = f.zeros(tokens, 2);
      Tensor out = f.zeros(tokens, 2);
      f.backend.decoder().linear(expected, f.tensor(numbers, 2, 32), null, in);
      f.backend.decoder().linear(out, weight, null, in);
      assertArrayEquals(f.floats(expected), f.floats(out));
    }
    assertThrows(
        InferenceException.class,
        () -> f.backend.host().copyFromHost(weight, numbers),
        "a mapped file must not be written");
    Tensor other = f.backend.load(f.scope, new FileRegion(file, 7, 4), DType.F32, Shape.of(1));
    assertEquals(numbers[1], f.floats(other)[0]);
  }

  @Test
  void refusesRegionsThatAreNotThere() throws Exception {
    Path file = folder.resolve("short");
    Files.write(file, new byte[100]);
    assertEquals(
        ErrorCode.FILE_NOT_READABLE,
        loadFailure(new FileRegion(file, 4, 128), Shape.of(32)).code());
    assertEquals(
        ErrorCode.FILE_NOT_READABLE,
        loadFailure(new FileRegion(folder.resolve("none"), 0, 128), Shape.of(32)).code());
    assertEquals(
        ErrorCode.CORRUPT_FILE, loadFailure(new FileRegion(file, 0, 64), Shape.of(32)).code());
  }

  private InferenceException loadFailure(FileRegion region, Shape shape) {
    return assertThrows(
        InferenceException.class, () -> f.backend.load(f.scope, region, DType.F32, shape));
  }

  @Test
  void closedMemoryIsAnErrorAndClosingTwiceIsNot() {
    MemoryScope inner = f.scope.child("inner");
    Tensor tensor = inner.allocate(DType.F32, Shape.of(100, 64));
    Tensor alive = f.zeros(100, 64);
    assertEquals(25600, inner.allocatedBytes());
    inner.close();
    inner.close();
    assertThrows(RuntimeException.class, () -> f.floats(tensor));
    assertThrows(RuntimeException.class, () -> f.backend.decoder().add(alive, tensor));
    assertThrows(InferenceException.class, () -> inner.allocate(DType.F32, Shape.of(1)));
    // The workers outlive the failure.
    f.backend.decoder().add(alive, alive);
    f.backend.close();
    f.backend.close();
    assertThrows(RuntimeException.class, () -> f.floats(alive));
    assertThrows(InferenceException.class, () -> f.backend.decoder().add(alive, alive));
  }

  @Test
  void aTensorBeyondAllMemoryIsRefused() {
    var error =
        assertThrows(
            InferenceException.class,
            () -> f.scope.allocate(DType.F32, Shape.of(1L << 40, 1 << 10)));
    assertEquals(ErrorCode.OUT_OF_MEMORY, error.code());
  }

  @Test
  void severalThreadsMayCallAtOnce() throws Exception {
    float[] numbers = f.numbers(60 * 128);
    float[] weights = f.numbers(128 * 128);
    Tensor weight = f.tensor(weights, 128, 128);
    Tensor in = f.tensor(numbers, 60, 128);
    Tensor expected = f.zeros(60, 128);
    f.backend.decoder().linear(expected, weight, null, in);
    try (var threads = Executors.newFixedThreadPool(4)) {
      List<Future<float[]>> results = new ArrayList<>();
      for (int i = 0; i < 40; i++) {
        results.add(
            threads.submit(
                () -> {
                  Tensor out = f.zeros(60, 128);
                  f.backend.decoder().linear(out, weight, null, in);
                  return f.floats(out);
                }));
      }
      for (Future<float[]> result : results) {
        assertArrayEquals(f.floats(expected), result.get());
      }
    }
  }
}

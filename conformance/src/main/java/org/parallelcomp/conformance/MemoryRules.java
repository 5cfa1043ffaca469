package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.FileRegion;
import org.parallelcomp.api.backend.MemoryScope;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.backend.Operation;
import org.parallelcomp.api.error.ErrorCategory;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

abstract class MemoryRules extends Rules {
  @Test
  void required_B101_providerHasAKebabIdAndIsUsable() {
    assertTrue(provider().id().matches("[a-z][a-z0-9]*(-[a-z0-9]+)*"), provider().id());
    assertInstanceOf(Availability.Usable.class, provider().probe());
    assertEquals(provider().id(), backend().info().id());
  }

  @Test
  void required_B102_anUnknownOptionIsAUserError() {
    var config = new BackendConfig(1, Map.of("no-such-option", "1"));
    InferenceException refused =
        assertThrows(InferenceException.class, () -> provider().open(config).close());
    assertEquals(ErrorCategory.USER, refused.category());
  }

  @Test
  void required_B103_closingABackendTwiceIsHarmless() {
    backend().close();
    backend().close();
  }

  @Test
  void required_B104_newTensorsAreZero() {
    try (MemoryScope scope = backend().openScope("zero")) {
      for (int round = 0; round < 3; round++) {
        // Dirtied and freed, so that memory that is used again must be cleared again.
        try (MemoryScope child = scope.child("round")) {
          Tensor tensor = child.allocate(DType.F32, Shape.of(1025, 7));
          float[] numbers = backend().host().copyToHostFloats(tensor);
          assertArrayEquals(new float[1025 * 7], numbers);
          Arrays.fill(numbers, 3);
          backend().host().copyFromHost(tensor, numbers);
        }
      }
    }
  }

  @Test
  void required_B105_aScopeCountsItsBytesAndThoseOfItsOpenChildren() {
    MemoryScope scope = backend().openScope("outer");
    long before = scope.allocatedBytes();
    scope.allocate(DType.F32, Shape.of(100));
    assertTrue(scope.allocatedBytes() >= before + 400);
    long own = scope.allocatedBytes();
    MemoryScope child = scope.child("inner");
    child.allocate(DType.I32, Shape.of(64, 64));
    assertTrue(scope.allocatedBytes() >= own + 4 * 64 * 64);
    child.close();
    assertEquals(own, scope.allocatedBytes());
    scope.close();
  }

  @Test
  void required_B106_aClosedScopeRefusesAndClosingTwiceIsHarmless() {
    MemoryScope scope = backend().openScope("outer");
    MemoryScope child = scope.child("inner");
    scope.close();
    scope.close();
    child.close();
    for (MemoryScope closed : List.of(scope, child)) {
      InferenceException refused =
          assertThrows(InferenceException.class, () -> closed.allocate(DType.F32, Shape.of(1)));
      assertEquals(ErrorCode.INTERNAL, refused.code());
      assertThrows(InferenceException.class, () -> closed.child("late"));
    }
  }

  @Test
  void required_B107_emptyTensorsCanBeAllocatedAndCopied() {
    try (MemoryScope scope = backend().openScope("empty")) {
      Tensor empty = scope.allocate(DType.F32, Shape.of(0, 5));
      backend().host().copyFromHost(empty, new float[0]);
      assertEquals(0, backend().host().copyToHostFloats(empty).length);
    }
  }

  @Test
  void required_B108_viewsCrossToTheHostInRowMajorOrder() {
    for (int size : SIZES) {
      twins().compare("view " + size, Bound.EXACT, b -> List.of(b.view(size, 9), b.view(9, size)));
    }
    twins()
        .run(
            "view of ints",
            b -> {
              Tensor ints = b.ints(new int[] {1, 2, 3, 4, 5, 6}, 2, 3);
              assertArrayEquals(
                  new int[] {2, 3, 5, 6}, backend().host().copyToHostInts(ints.slice(1, 1, 3)));
            });
  }

  @Test
  void required_B109_copiesKeepNanInfinitiesAndNegativeZero() {
    float[] special = {
      Float.NaN, Float.NEGATIVE_INFINITY, Float.POSITIVE_INFINITY, -0f, Float.MIN_VALUE
    };
    twins()
        .run(
            "special",
            b ->
                assertArrayEquals(
                    special, backend().host().copyToHostFloats(b.floats(special, 5))));
  }

  @Test
  void required_B110_everyFileTypeIsReadAsTheFormatSays() {
    for (DType dtype : DType.values()) {
      if (dtype != DType.I32) {
        var call = new OpCall(Operation.LINEAR, List.of(dtype), List.of(Shape.of(13, 512)));
        if (backend().supports(call)) {
          twins().compare("load " + dtype, Bound.DECODED, b -> List.of(b.weight(dtype, 13, 512)));
        }
      }
    }
  }

  @Test
  void required_B111_aFileThatIsTooShortOrMissingIsNotReadable(@TempDir Path folder)
      throws Exception {
    Path file = Files.write(folder.resolve("short"), new byte[100]);
    try (MemoryScope scope = backend().openScope("files")) {
      for (FileRegion region :
          List.of(
              new FileRegion(file, 64, 64),
              new FileRegion(file, 128, 64),
              new FileRegion(folder.resolve("missing"), 0, 64))) {
        InferenceException refused =
            assertThrows(
                InferenceException.class,
                () -> backend().load(scope, region, DType.F32, Shape.of(16)));
        assertEquals(ErrorCode.FILE_NOT_READABLE, refused.code(), region.toString());
      }
    }
  }
}

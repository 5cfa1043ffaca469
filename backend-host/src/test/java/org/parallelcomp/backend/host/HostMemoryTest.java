package org.parallelcomp.backend.host;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Shape;
import org.parallelcomp.api.tensor.Tensor;

/** Memory that several backends, or sessions of one, have at once, and never mix up. */
class HostMemoryTest {
  private final HostMemory mine = new HostMemory("CPU", HostMemoryTest::halves);
  private final HostMemory other = new HostMemory("ONNX", HostMemoryTest::halves);

  private static void halves(
      DType dtype, java.lang.foreign.MemorySegment in, long from, int count, float[] out, int at) {
    for (int i = 0; i < count; i++) {
      out[at + i] = Float.float16ToFloat(in.get(Rows.SHORT, from + 2L * i));
    }
  }

  @AfterEach
  void close() {
    mine.close();
    other.close();
  }

  @Test
  void itsOwnTensorIsTaken() {
    var scope = mine.openScope("own");
    Tensor tensor = scope.allocate(DType.F32, Shape.of(2, 3));
    new HostMemoryTransfer(mine).copyFromHost(tensor, new float[] {1, 2, 3, 4, 5, 6});
    assertSame(tensor, mine.tensor(tensor));
    assertArrayEquals(new float[] {2, 5}, mine.numbers(tensor.slice(1, 1, 2)));
    assertSame(scope, mine.scope(scope));
  }

  @Test
  void whatBelongsToAnotherIsRefused() {
    var scope = other.openScope("foreign");
    Tensor floats = scope.allocate(DType.F32, Shape.of(2, 2));
    Tensor halves = scope.allocate(DType.F16, Shape.of(2, 2));
    Tensor ints = scope.allocate(DType.I32, Shape.of(2));
    Tensor own = mine.openScope("own").allocate(DType.F32, Shape.of(2, 2));
    var ops = new HostTensorOps(mine, mine.openScope("results"));
    var transfer = new HostMemoryTransfer(mine);
    List<Executable> calls =
        List.of(
            () -> mine.scope(scope),
            () -> mine.tensor(floats),
            () -> mine.tensor(floats.slice(0, 0, 1)),
            () -> mine.floats(floats.reshape(Shape.of(4))),
            () -> mine.ints(ints),
            () -> mine.any(ints),
            () -> mine.numbers(floats),
            () -> mine.numbers(halves),
            () -> transfer.copyFromHost(floats, new float[4]),
            () -> transfer.copyToHostInts(ints),
            () -> ops.add(own, floats),
            () -> ops.matmul(floats, own),
            () -> ops.sum(floats, 0),
            () -> ops.transpose(floats, 0, 1),
            () -> ops.gather(own, ints));
    for (int i = 0; i < calls.size(); i++) {
      var error = assertThrows(InferenceException.class, calls.get(i), "call " + i);
      assertEquals(ErrorCode.INTERNAL, error.code(), "call " + i);
      assertTrue(error.getMessage().contains("another backend or session"), error.getMessage());
    }
  }

  @Test
  void whatWasFreedIsRefused() {
    var scope = mine.openScope("own");
    Tensor tensor = scope.allocate(DType.F32, Shape.of(2));
    scope.close();
    var error = assertThrows(InferenceException.class, () -> mine.floats(tensor));
    assertEquals(ErrorCode.INTERNAL, error.code());
  }

  @Test
  void readsHowMuchMemoryLinuxCouldFree() {
    assertEquals(
        1536L * 1024,
        SystemMemory.parseAvailable(
            List.of("MemTotal:  4096 kB", "MemAvailable:    1536 kB", "Buffers: 1 kB")));
    assertEquals(-1, SystemMemory.parseAvailable(List.of("MemTotal:  4096 kB")));
  }
}
